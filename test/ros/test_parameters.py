"""The settings as ROS parameters: described, checked at start and live, no end of the node."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

import rclpy
from rcl_interfaces.msg import ParameterType
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.ros.parameters import NodeParameters

Made = tuple[Node, NodeParameters]
Maker = Callable[..., Made]


@pytest.fixture
def make() -> Iterator[Maker]:
    """Give a function that makes a node from command line arguments, as `ros2 run` passes them."""
    made: list[Node] = []

    def create(*arguments: str) -> Made:
        context = Context()
        rclpy.init(context=context, args=['--ros-args', *arguments] if arguments else [])
        node = Node('semantic_fast_sam', context=context)
        made.append(node)
        return node, NodeParameters(node)

    yield create
    for node in made:
        node.destroy_node()
        node.context.shutdown()


def parameter_file(folder: Path, body: str) -> str:
    """Write a parameter file for any node; return its path."""
    path = folder / 'parameters.yaml'
    path.write_text(f'/**:\n  ros__parameters:\n    {body}\n')
    return str(path)


def set_one(node: Node, name: str, value: object) -> tuple[bool, str]:
    """Set a parameter as the service does; return whether it worked, and the reason."""
    (result,) = node.set_parameters([Parameter(name, value=value)])
    return result.successful, result.reason


def test_every_setting_is_a_parameter_with_its_default(make: Maker) -> None:
    node, parameters = make()
    for setting in configuration.settings():
        assert node.get_parameter(setting.name).value == setting.default
    assert parameters.configuration() == configuration.Config()


def test_while_models_are_loaded_what_the_labeller_cannot_do_is_refused(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, parameters = make()
    logged: list[str] = []
    log = SimpleNamespace(warning=logged.append)
    monkeypatch.setattr(node, 'get_logger', lambda: log)
    assert set_one(node, 'clip.adaptation', 'ul_tta') == (True, '')  # the labeller may follow
    assert set_one(node, 'clip.adaptation', 'off')[0]
    parameters.locked = True
    done, reason = set_one(node, 'clip.adaptation', 'ul_tta')
    assert not done and 'for the labellers clip, clip_dense and hybrid' in reason
    assert parameters.current.clip.adaptation == 'off'
    assert set_one(node, 'masks.confidence', 0.2) == (True, '') and not logged
    assert set_one(node, 'clip.fill', 'mean') == (True, '')
    assert len(logged) == 1 and 'does not heed clip.fill' in logged[0]


def test_describe_explains_each_parameter(make: Maker) -> None:
    node, _ = make()
    for setting in configuration.settings():
        described = node.describe_parameter(setting.name)
        assert described.description == setting.help
        assert ('while running' in described.additional_constraints) == setting.live
        for choice in setting.choices:
            assert choice in described.additional_constraints


@pytest.mark.parametrize(
    ('name', 'kind', 'low', 'high'),
    [
        ('masks.confidence', ParameterType.PARAMETER_DOUBLE, 0.0, 1.0),
        ('masks.max_masks', ParameterType.PARAMETER_INTEGER, 1, 1000),
    ],
)
def test_describe_tells_type_and_range(
    make: Maker, name: str, kind: int, low: float, high: float
) -> None:
    node, _ = make()
    described = node.describe_parameter(name)
    assert described.type == kind
    integer = kind == ParameterType.PARAMETER_INTEGER
    (limits,) = described.integer_range if integer else described.floating_point_range
    assert (limits.from_value, limits.to_value) == (low, high)


def test_values_come_from_the_command_line_and_from_files(make: Maker, tmp_path: Path) -> None:
    path = parameter_file(tmp_path, 'masks: {confidence: 0.25}')
    _, parameters = make('--params-file', path, '-p', 'vote.mode:=soft')
    config = parameters.configuration()
    assert (config.masks.confidence, config.vote.mode) == (0.25, 'soft')


def test_integer_is_taken_for_a_float_at_start_and_live(make: Maker) -> None:
    node, parameters = make('-p', 'masks.confidence:=1')
    assert parameters.configuration().masks.confidence == 1.0
    assert set_one(node, 'masks.confidence', 0) == (True, '')
    assert parameters.current.masks.confidence == 0.0
    assert set_one(node, 'masks.confidence', 0.5) == (True, '')
    assert parameters.current.masks.confidence == 0.5


@pytest.mark.parametrize(
    ('argument', 'reason'),
    [
        ('masks.confidence:=1.5', r'masks.confidence must lie in 0 \.\.\. 1, not 1.5'),
        ('masks.confidence:=high', r"masks.confidence must be a float, not 'high'"),
        ('masks.max_masks:=2.5', r'masks.max_masks must be a int'),
        ('vote.mode:=loud', r"vote.mode must be one of hard, soft, .* not 'loud'"),
        ('output.size:=large', r"output.size must be `input` or WIDTHxHEIGHT .* 'large'"),
        ('autostart:=maybe', r"autostart must be a bool, not 'maybe'"),
        ('device:=[1, 2]', r'device must be a str'),
    ],
)
def test_bad_value_at_start_is_kept_as_the_reason(make: Maker, argument: str, reason: str) -> None:
    _, parameters = make('-p', argument)
    with pytest.raises(ConfigError, match=reason):
        parameters.configuration()


def test_all_bad_values_are_named_at_once(make: Maker) -> None:
    _, parameters = make('-p', 'masks.confidence:=1.5', '-p', 'vote.mode:=loud')
    with pytest.raises(ConfigError, match=r'masks\.confidence.*; vote\.mode'):
        parameters.configuration()


def test_setting_a_bad_value_right_heals_it(make: Maker) -> None:
    node, parameters = make('-p', 'masks.confidence:=1.5')
    assert set_one(node, 'masks.confidence', 0.5)[0]
    assert parameters.configuration().masks.confidence == 0.5


def test_setting_the_default_heals_a_bad_value(make: Maker) -> None:
    node, parameters = make('-p', 'masks.confidence:=1.5')
    assert set_one(node, 'masks.confidence', configuration.Config().masks.confidence)[0]
    parameters.configuration()


def test_unknown_parameter_in_a_file_is_refused_with_a_close_match(
    make: Maker, tmp_path: Path
) -> None:
    _, parameters = make('--params-file', parameter_file(tmp_path, 'masks: {confidense: 0.5}'))
    with pytest.raises(
        ConfigError,
        match=r"unknown parameter 'masks.confidense' \(did you mean 'masks.confidence'\?\)",
    ):
        parameters.configuration()


def test_parameters_of_ros_itself_are_known(make: Maker) -> None:
    _, parameters = make(
        *('-p', 'use_sim_time:=true', '-p', 'start_type_description_service:=false'),
        *('-p', 'qos_overrides./parameter_events.publisher.depth:=10'),
    )
    parameters.configuration()


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('masks.confidence', 1.01),
        ('masks.confidence', -1),
        ('masks.confidence', 'high'),
        ('masks.confidence', float('nan')),
        ('masks.max_masks', 0),
        ('masks.max_masks', 2.0),
        ('masks.retina_masks', 1),
        ('vote.mode', 'loud'),
        ('output.size', '640'),
    ],
)
def test_bad_value_is_refused_live_with_a_reason(make: Maker, name: str, value: object) -> None:
    node, parameters = make()
    before = parameters.current
    successful, reason = set_one(node, name, value)
    assert not successful
    assert name in reason
    assert parameters.current is before
    assert node.get_parameter(name).value == configuration.flatten(before)[name]


def test_unknown_parameter_is_refused_live(make: Maker) -> None:
    node, _ = make()
    with pytest.raises(rclpy.exceptions.ParameterNotDeclaredException):
        set_one(node, 'masks.confidense', 0.5)


def test_live_setting_makes_a_new_configuration(make: Maker) -> None:
    node, parameters = make()
    parameters.locked = True
    before = parameters.current
    assert set_one(node, 'masks.confidence', 0.4) == (True, '')
    assert parameters.current.masks.confidence == 0.4
    assert before.masks.confidence != 0.4


def test_other_settings_are_refused_while_models_are_loaded(make: Maker) -> None:
    node, parameters = make()
    parameters.locked = True
    successful, reason = set_one(node, 'masks.model', 'other.pt')
    assert not successful
    assert 'masks.model cannot change while models are loaded' in reason
    assert 'clean up' in reason
    parameters.locked = False
    assert set_one(node, 'masks.model', 'other.pt')[0]
    assert parameters.current.masks.model == 'other.pt'


def test_setting_what_is_set_already_is_accepted_while_models_are_loaded(make: Maker) -> None:
    node, parameters = make()
    parameters.locked = True
    assert set_one(node, 'masks.model', parameters.current.masks.model) == (True, '')


def test_several_at_once_are_taken_whole_or_not_at_all(make: Maker) -> None:
    node, parameters = make()
    result = node.set_parameters_atomically(
        [Parameter('masks.confidence', value=0.3), Parameter('vote.mode', value='loud')]
    )
    assert not result.successful
    assert parameters.current == configuration.Config()


def test_parameter_of_ros_itself_can_be_set_live(make: Maker) -> None:
    node, _ = make()
    assert set_one(node, 'use_sim_time', True)[0]
