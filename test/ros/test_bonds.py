"""The node's bond with a lifecycle manager: as bondpy is used, and none without it."""

import sys
from types import ModuleType
from typing import Any

import pytest

from semantic_fast_sam_ros.ros.bonds import ManagerBond


class Named:
    """What a bond needs of a node."""

    def get_name(self) -> str:
        return 'semantic_fast_sam'


class Bond:
    """Notes what is asked of it, as bondpy's would be."""

    def __init__(self, node: Any, topic: str, bond_id: str) -> None:
        self.told: list[str] = [topic, bond_id]
        made.append(self)

    def start(self) -> None:
        # bondpy takes these before it starts only.
        assert (self.heartbeat_period, self.heartbeat_timeout) == (0.25, 4.0)
        self.told.append('start')

    def break_bond(self) -> None:
        self.told.append('break')

    def shutdown(self) -> None:
        self.told.append('shutdown')


made: list[Bond] = []


@pytest.fixture
def bondpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bondpy be installed."""
    made.clear()
    module = ModuleType('bondpy.bondpy')
    module.Bond = Bond  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'bondpy', ModuleType('bondpy'))
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', module)


def test_a_bond_lasts_from_activation_to_deactivation(bondpy: None) -> None:
    bond = ManagerBond(Named())  # type: ignore[arg-type]
    bond.end()
    bond.close()
    assert not made
    bond.form()
    bond.end()
    assert [m.told for m in made] == [['bond', 'semantic_fast_sam', 'start', 'break']]
    bond.form()
    bond.close()
    bond.close()
    assert [m.told[2:] for m in made] == [['start', 'break', 'shutdown'], ['start', 'shutdown']]


def test_without_bondpy_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'bondpy', None)
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', None)
    bond = ManagerBond(Named())  # type: ignore[arg-type]
    bond.form()
    bond.end()
    bond.close()
