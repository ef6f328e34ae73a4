"""The node under Nav2's lifecycle manager, whose part is played as its source does it.

nav2_lifecycle_manager/src/lifecycle_manager.cpp (navigation2, August 2026): changeStateForNode
waits for the service, for the transition without a limit, for the state within the limit again;
after activation createBondConnection waits half the bond's time-out for a sign of life. Then
checkBondConnections looks whether the bond is broken. If it is, checkBondRespawnConnection asks
for the node's state until it is back, to start it up again.
"""

import contextlib
import importlib
import importlib.util
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import bond_stand_in
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import NAME, QUICK, NodeProcess, Peer, RunningNode, until
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.duration import Duration

from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.settings.yaml_files import read_yaml

pytestmark = pytest.mark.timeout(400)
STEPS = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
}
ANSWER_S = 2.0  # LifecycleServiceClient::get_state waits so long
NAV2S_BOND_S = 4.0


class BringupError(Exception):
    """The manager gives up."""


class Manager:
    """Brings one node up."""

    def __init__(
        self, peer: Peer, service_timeout: float, bond_timeout: float, bond: Any = None
    ) -> None:
        self._peer, self._limit, self._bond_timeout = peer, service_timeout, bond_timeout
        self._bond_class = bond or bond_stand_in.Bond
        self._bond: Any = None

    def start_up(self) -> None:
        """Configure and activate; raise BringupError as the manager logs it."""
        for transition in STEPS:
            self._change(transition)
        if self._bond_timeout > 0:
            self._bond = self._bond_class(self._peer.node, 'bond', NAME.strip('/'))
            self._bond.heartbeat_period = 0.1
            self._bond.heartbeat_timeout = self._bond_timeout
            self._bond.start()
            if not self._bond.wait_until_formed(Duration(seconds=self._bond_timeout / 2)):
                raise BringupError('unable to be reached by bond')

    def sees_the_end(self) -> bool:
        """Return whether the bond is broken."""
        return bool(self._bond.is_broken())

    def sees_the_node(self) -> bool:
        """Return whether the node says its state, as it must before it is started again."""
        asked = self._client(GetState, 'get_state').call_async(GetState.Request())
        with contextlib.suppress(AssertionError):
            until(asked.done, 'the state', ANSWER_S)
        return asked.done()

    def let_go(self) -> None:
        """Give the bond back."""
        if self._bond is not None:
            self._peer.node.destroy_subscription(self._bond.sub)
            self._bond.shutdown()
            self._peer.node.destroy_publisher(self._bond.pub)
            self._bond = None

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


@pytest.fixture
def bond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let processes find bondpy: the real one where it is installed; give its Bond."""
    if importlib.util.find_spec('bondpy') is not None:
        return importlib.import_module('bondpy.bondpy').Bond
    package = tmp_path / 'bondpy'
    package.mkdir()
    (package / '__init__.py').touch()
    shutil.copy(bond_stand_in.__file__, package / 'bondpy.py')
    known = [path for path in (os.environ.get('PYTHONPATH'),) if path]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), *known]))
    return bond_stand_in.Bond


@pytest.mark.skipif(importlib.util.find_spec('bondpy') is not None, reason='bondpy is here')
def test_a_manager_with_the_shipped_values_brings_the_node_up(peer: Peer) -> None:
    file = resource_folder('config') / 'nav2' / 'lifecycle_manager.yaml'
    values = read_yaml(file)['lifecycle_manager_perception']['ros__parameters']
    assert values['node_names'] == [NAME.strip('/')]
    running = RunningNode(autostart=False)
    manager = Manager(peer, values['service_timeout'], NAV2S_BOND_S)
    try:
        with pytest.raises(BringupError, match='unable to be reached by bond'):
            manager.start_up()
        assert peer.change(Transition.TRANSITION_DEACTIVATE)
        assert peer.change(Transition.TRANSITION_CLEANUP)
        Manager(peer, values['service_timeout'], values['bond_timeout']).start_up()
        assert running.active()
    finally:
        manager.let_go()
        running.close()


def test_a_node_that_is_killed_is_seen_by_its_bond_and_started_again(
    peer: Peer, bond: Any, tmp_path: Path
) -> None:
    manager = Manager(peer, 60.0, NAV2S_BOND_S, bond)
    running = NodeProcess(tmp_path / 'first.txt', '-p', 'autostart:=false')
    try:
        manager.start_up()
        # bondpy and bondcpp watch from the second heartbeat on.
        signs = peer.collect(DiagnosticArray, '/diagnostics')
        until(lambda: len(signs) > 1 / QUICK['output.diagnostics_period_s'], 'a second of life')
        assert not manager.sees_the_end()
        running.close()
        until(manager.sees_the_end, 'the end of the bond', 2 * NAV2S_BOND_S)
        assert not manager.sees_the_node()
        manager.let_go()
        running = NodeProcess(tmp_path / 'respawned.txt', '-p', 'autostart:=false')
        until(manager.sees_the_node, 'the node is back')
        manager.start_up()
        assert running.end(signal.SIGINT) == 0
    finally:
        running.close()
        manager.let_go()


def test_a_manager_does_not_wait_long_for_a_node_that_is_not_there(peer: Peer) -> None:
    with pytest.raises(BringupError, match='not available'):
        Manager(peer, 0.1, NAV2S_BOND_S).start_up()
