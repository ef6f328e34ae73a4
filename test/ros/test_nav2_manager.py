"""The node under Nav2's lifecycle manager, whose part is played as its source does it.

nav2_lifecycle_manager/src/lifecycle_manager.cpp (navigation2, August 2026): changeStateForNode
waits for the service, for the transition without a limit, for the state within the limit again;
after activation createBondConnection waits half the bond's time-out for a sign of life.
"""

import importlib.util

import pytest
from harness import NAME, Peer, RunningNode, until
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.settings.yaml_files import read_yaml

pytestmark = pytest.mark.timeout(400)
STEPS = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
}


class BringupError(Exception):
    """The manager gives up."""


class Manager:
    """Brings one node up."""

    def __init__(self, peer: Peer, service_timeout: float, bond_timeout: float) -> None:
        self._peer, self._limit, self._bond_timeout = peer, service_timeout, bond_timeout

    def start_up(self) -> None:
        """Configure and activate; raise BringupError as the manager logs it."""
        for transition in STEPS:
            self._change(transition)
        if self._bond_timeout > 0 and not self._peer.node.count_publishers('/bond'):
            raise BringupError('unable to be reached by bond')

    def _change(self, transition: int) -> None:
        change = self._client(ChangeState, 'change_state')
        asked = change.call_async(ChangeState.Request(transition=Transition(id=transition)))
        until(asked.done, 'the end of the transition, for which the manager waits without a limit')
        if not asked.result().success:
            raise BringupError('failed to change state')
        state = self._client(GetState, 'get_state').call_async(GetState.Request())
        until(state.done, 'the state', self._limit)
        assert state.result().current_state.id == STEPS[transition]

    def _client(self, kind: type, service: str):
        client = self._peer.node.create_client(kind, f'{NAME}/{service}')
        if not client.wait_for_service(self._limit):
            raise BringupError(f'{service} service is not available!')
        return client


@pytest.mark.skipif(importlib.util.find_spec('bondpy') is not None, reason='bondpy is here')
def test_a_manager_with_the_shipped_values_brings_the_node_up(peer: Peer) -> None:
    file = resource_folder('config') / 'nav2' / 'lifecycle_manager.yaml'
    values = read_yaml(file)['lifecycle_manager_perception']['ros__parameters']
    assert values['node_names'] == [NAME.strip('/')]
    running = RunningNode(autostart=False)
    try:
        with pytest.raises(BringupError, match='unable to be reached by bond'):
            Manager(peer, values['service_timeout'], 4.0).start_up()  # Nav2's own value
        assert peer.change(Transition.TRANSITION_DEACTIVATE)
        assert peer.change(Transition.TRANSITION_CLEANUP)
        Manager(peer, values['service_timeout'], values['bond_timeout']).start_up()
        assert running.active()
    finally:
        running.close()


def test_a_manager_does_not_wait_long_for_a_node_that_is_not_there(peer: Peer) -> None:
    with pytest.raises(BringupError, match='not available'):
        Manager(peer, 0.1, 4.0).start_up()
