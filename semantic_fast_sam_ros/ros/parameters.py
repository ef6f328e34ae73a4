"""The typed configuration as ROS parameters: declared, described, validated, never repeated."""

from collections.abc import Callable, Iterable

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion
from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.effects import require_effect, without_effect
from semantic_fast_sam_ros.core.settings.profiles import is_foreign
from semantic_fast_sam_ros.core.settings.setting import Setting

VOCABULARY = frozenset({'vocabulary', 'vocabulary_file'})


class NodeParameters:
    """Declares all settings on a node and keeps the configuration they amount to.

    A bad value given at start does not end the process: it stands as an error until it is set
    right, and `configuration()` refuses until then.
    """

    def __init__(self, node: Node) -> None:
        """Declare the parameters with their values from the command line and files."""
        self._node = node
        self._settings = {s.name: s for s in configuration.settings()}
        self._errors: dict[str, str] = {}
        self.locked = False  # while models are loaded, only live settings may change
        # While models are loaded: takes a new vocabulary over, or raises a ConfigError.
        self.change_vocabulary: Callable[[Config], None] | None = None
        given = node._parameter_overrides  # rclpy has no public way to see undeclared ones
        for s in self._settings.values():
            value = self._given_value(s, given.get(s.name))
            node.declare_parameter(s.name, value, descriptor(s), ignore_override=True)
        self._errors.update(self._unknown(given))
        self._current = configuration.from_values(
            {name: node.get_parameter(name).value for name in self._settings}
        )
        node.add_on_set_parameters_callback(self._validate)

    @property
    def current(self) -> Config:
        """The configuration as the parameters stand now; one object is never changed."""
        return self._current

    def configuration(self) -> Config:
        """Return the configuration to set up with.

        Raises:
            ConfigError: a parameter given at start was wrong.
        """
        if self._errors:
            raise ConfigError('; '.join(self._errors.values()))
        return self._current

    def _given_value(self, s: Setting, given: Parameter | None) -> object:
        if given is None:
            return s.default
        try:
            return configuration.check(s, given.value)
        except ConfigError as error:
            self._errors[s.name] = str(error)
            return s.default

    def _unknown(self, names: Iterable[str]) -> dict[str, str]:
        return {
            name: f'unknown parameter {name!r}{suggestion(name, self._settings)}'
            for name in names
            if name not in self._settings and not is_foreign(name)
        }

    def _validate(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in self._settings}
        try:
            before = configuration.flatten(self._current)
            for name, value in changes.items():
                if self._settings[name].kind is int and isinstance(value, float):
                    # rclpy would keep it as it is, and tell others that the node has 2.0 masks.
                    raise ConfigError(f'{name} must be a int, not {value!r}')
                if self.locked and not self._settings[name].live and value != before[name]:
                    raise ConfigError(
                        f'{name} cannot change while models are loaded: deactivate and clean up '
                        'the node, set it, then configure again'
                    )
            changed = configuration.from_values(before | changes)
            if self.locked:
                require_effect(changed)
            if self.change_vocabulary is not None and not VOCABULARY.isdisjoint(changes):
                self._require_no_file_before(changes, changed)
                self.change_vocabulary(changed)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in changes:
            self._errors.pop(name, None)
        self._current = changed
        if self.locked and (unheeded := without_effect(changed, changes)):
            self._node.get_logger().warning(unheeded)  # rclpy drops the reason of a success
        return SetParametersResult(successful=True)

    @staticmethod
    def _require_no_file_before(changes: Iterable[str], changed: Config) -> None:
        if changed.vocabulary_file and 'vocabulary_file' not in changes:
            raise ConfigError(
                f'vocabulary_file ({changed.vocabulary_file}) goes before vocabulary: set it to '
                "'' in the same call"
            )


def descriptor(s: Setting) -> ParameterDescriptor:
    """Describe a setting to `ros2 param describe` and to parameter editors.

    Types are checked here and not by rclpy, which would end the process over `confidence: 1`.
    """
    notes = [f'one of: {", ".join(s.choices)}'] if s.choices else []
    notes.append('can change while running' if s.live else 'takes effect at configure')
    described = ParameterDescriptor(
        name=s.name, description=s.help, additional_constraints='; '.join(notes)
    )
    described.dynamic_typing = True
    if s.kind is int and s.minimum is not None and s.maximum is not None:
        described.integer_range = [
            IntegerRange(from_value=int(s.minimum), to_value=int(s.maximum), step=1)
        ]
    if s.kind is float and s.minimum is not None and s.maximum is not None:
        described.floating_point_range = [
            FloatingPointRange(from_value=s.minimum, to_value=s.maximum, step=0.0)
        ]
    return described
