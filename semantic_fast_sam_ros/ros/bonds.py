"""The bond by which a lifecycle manager sees that the node lives, where bondpy is installed.

Nav2's manager gives up a node that forms none, unless its `bond_timeout` is 0. As Nav2's own
nodes do, the node forms it when it is activated and breaks it when it is deactivated.
"""

import importlib
from typing import Any

from rclpy.node import Node

TOPIC = 'bond'
HEARTBEAT_PERIOD_S, HEARTBEAT_TIMEOUT_S = 0.25, 4.0  # as nav2_util's LifecycleNode has them


class ManagerBond:
    """One bond at a time; none where bondpy is missing."""

    def __init__(self, node: Node) -> None:
        """Form nothing yet."""
        self._node = node
        self._bond: Any = None

    def form(self) -> None:
        """Offer a bond to whoever manages the node; its heartbeat has a thread of its own."""
        self.close()
        try:
            bondpy: Any = importlib.import_module('bondpy.bondpy')
        except ImportError:
            return
        self._bond = bondpy.Bond(self._node, TOPIC, self._node.get_name())
        self._bond.heartbeat_period = HEARTBEAT_PERIOD_S
        self._bond.heartbeat_timeout = HEARTBEAT_TIMEOUT_S
        self._bond.start()

    def end(self) -> None:
        """Tell the manager that the bond ends as it should."""
        if self._bond is not None:
            self._bond.break_bond()

    def close(self) -> None:
        """Give its topic and thread back."""
        if self._bond is None:
            return
        try:
            self._bond.shutdown()
        except RuntimeError:  # it says goodbye, which nobody can any more after SIGINT
            if self._node.context.ok():
                raise
        # bondpy destroys both without the node's knowing, whose executor would fall over them.
        self._node.destroy_subscription(self._bond.sub)
        self._node.destroy_publisher(self._bond.pub)
        self._bond = None
