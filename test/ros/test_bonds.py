"""The node's bond with a lifecycle manager: as bondpy is used, and none without it."""

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from semantic_fast_sam_ros.ros.bonds import ManagerBond


class Bond:
    """Notes what is asked of it, and destroys what it made beside the node, as bondpy's does."""

    def __init__(self, node: Node, topic: str, bond_id: str) -> None:
        self.told: list[str] = [topic, bond_id]
        self._node, self._topic = node, topic
        self.pub = node.create_publisher(String, topic, 1)
        made.append(self)

    def start(self) -> None:
        # bondpy takes these before it starts only.
        assert (self.heartbeat_period, self.heartbeat_timeout) == (0.25, 4.0)
        self.sub = self._node.create_subscription(String, self._topic, lambda _: None, 1)
        self.told.append('start')

    def break_bond(self) -> None:
        self.told.append('break')

    def shutdown(self) -> None:
        self.sub.destroy()
        self.pub.publish(String())
        self.pub.destroy()
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


@pytest.fixture
def node() -> Iterator[Node]:
    """Give a node that nobody spins."""
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node('semantic_fast_sam', context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def test_a_bond_lasts_from_activation_to_deactivation(bondpy: None, node: Node) -> None:
    bond = ManagerBond(node)
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


def test_a_node_that_is_activated_twice_still_spins(bondpy: None, node: Node) -> None:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    bond = ManagerBond(node)
    for _ in range(2):
        bond.form()
        executor.spin_once(timeout_sec=0)
        bond.end()
    bond.close()
    executor.spin_once(timeout_sec=0)  # it would raise InvalidHandle over what is destroyed
    topics = [p.topic_name for p in node.publishers] + [s.topic_name for s in node.subscriptions]
    assert '/bond' not in topics
    executor.shutdown()


def test_a_node_that_was_interrupted_closes_its_bond(bondpy: None, node: Node) -> None:
    bond = ManagerBond(node)
    bond.form()
    node.context.shutdown()  # as rclpy does it on SIGINT, before the node is closed
    bond.close()
    assert made[0].told[-1] == 'start'  # the goodbye could not be sent
    bond.close()


def test_without_bondpy_there_is_none(monkeypatch: pytest.MonkeyPatch, node: Node) -> None:
    monkeypatch.setitem(sys.modules, 'bondpy', None)
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', None)
    bond = ManagerBond(node)
    bond.form()
    bond.end()
    bond.close()
