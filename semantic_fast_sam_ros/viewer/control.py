"""What a browser may change on the watched node: parameters and the lifecycle, with its answer."""

from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.viewer.watcher import Watcher

TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}
# The way from a state to unconfigured, and from there on.
DOWN = {'active': ('deactivate', 'cleanup'), 'inactive': ('cleanup',)}
TRANSITION_LIMIT_S = 300.0  # configure loads models
KNOWN = {s.name: s for s in configuration.settings()}


class Control:
    """Calls the services of the node that a watcher watches."""

    def __init__(self, watcher: Watcher) -> None:
        """Bind to a watcher."""
        self._watcher = watcher

    async def parameters(self) -> list[dict[str, Any]]:
        """Return every setting of the node with its value and what may be set."""
        request = GetParameters.Request(names=list(KNOWN))
        answer = await self._watcher.call(GetParameters, 'get_parameters', request)
        values = [parameter_value_to_python(v) for v in answer.values]
        return [
            {
                'name': s.name,
                'value': value,
                'kind': s.kind.__name__,
                'help': s.help,
                'minimum': s.minimum,
                'maximum': s.maximum,
                'choices': s.choices,
                'live': s.live,
            }
            for s, value in zip(KNOWN.values(), values, strict=False)
            if value is not None
        ]

    async def set(self, name: str, value: object) -> str:
        """Set a parameter; return the node's reason if it refuses, else ''.

        Raises:
            ConfigError: there is no such setting, or the value is of another type.
        """
        known = KNOWN.get(name)
        if known is None:
            raise ConfigError(f'there is no setting {name!r}')
        if known.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not known.kind:
            raise ConfigError(f'{name} must be a {known.kind.__name__}, not {value!r}')
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        answer = await self._watcher.call(SetParameters, 'set_parameters', request)
        result = answer.results[0]
        return '' if result.successful else str(result.reason or 'refused without a reason')

    async def state(self) -> str:
        """Return the lifecycle state, such as 'active'."""
        answer = await self._watcher.call(GetState, 'get_state', GetState.Request())
        return str(answer.current_state.label)

    async def change(self, transition: str) -> str:
        """Make a lifecycle transition; return what went wrong, or ''."""
        if transition not in TRANSITIONS:
            raise ConfigError(f'there is no transition {transition!r}')
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
        answer = await self._watcher.call(ChangeState, 'change_state', request, TRANSITION_LIMIT_S)
        if answer.success:
            return ''
        return f'{transition} failed: the node is {await self.state()}; its log says why'

    async def start(self) -> str:
        """Bring the node to active from where it is; return what went wrong, or ''."""
        problem = await self.change('configure') if await self.state() == 'unconfigured' else ''
        if not problem and await self.state() == 'inactive':
            problem = await self.change('activate')
        return problem

    async def restart_with(self, name: str, value: object) -> str:
        """Take the node down, set a parameter, bring it up; return what went wrong, or ''.

        A value that is refused leaves the old one: the node comes up as it was.
        """
        for transition in DOWN.get(await self.state(), ()):
            if problem := await self.change(transition):
                return problem
        refused = await self.set(name, value)
        problem = await self.start()
        return '; '.join(text for text in (refused, problem) if text)
