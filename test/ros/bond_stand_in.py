"""bondpy's Bond as far as the node and its manager use it, on messages that every ROS has.

As bond_core's branch ros2 does it: each side says once a period that it lives, and takes the other
for dead that says so, or that is silent for the time-out.
"""

import threading
import time
import uuid

from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import String

ALIVE, DEAD = 'alive', 'dead'
STEP_S = 0.05


class Bond:
    """One side of a bond."""

    heartbeat_period = 1.0  # s
    heartbeat_timeout = 4.0  # s

    def __init__(self, node: Node, topic: str, bond_id: str) -> None:
        """Say nothing yet."""
        self._node, self._topic = node, topic
        self._id, self._side = bond_id, uuid.uuid4().hex
        self._heard = 0.0  # when; 0: never
        self._over = threading.Event()
        self.pub = node.create_publisher(String, topic, 1)

    def start(self) -> None:
        """Say from now on that this side lives; hear the other."""
        self.sub = self._node.create_subscription(String, self._topic, self._hear, 1)
        threading.Thread(target=self._beat, daemon=True).start()

    def wait_until_formed(self, timeout: Duration) -> bool:
        """Return whether the other side was heard in time."""
        deadline = time.monotonic() + timeout.nanoseconds / 1e9
        while not self._heard and time.monotonic() < deadline:
            time.sleep(STEP_S)
        return bool(self._heard)

    def is_broken(self) -> bool:
        """Return whether one side ended it, or the other fell silent."""
        silent = time.monotonic() - self._heard > self.heartbeat_timeout
        return self._over.is_set() or bool(self._heard and silent)

    def break_bond(self) -> None:
        """Tell the other side that it ends."""
        if not self._over.is_set():
            self._over.set()
            self._say(DEAD)

    def shutdown(self) -> None:
        """End it, and give its topic back."""
        self.break_bond()
        self.sub.destroy()
        self.pub.destroy()

    def _beat(self) -> None:
        while not self._over.is_set():
            self._say(ALIVE)
            self._over.wait(self.heartbeat_period)

    def _say(self, what: str) -> None:
        self.pub.publish(String(data=f'{self._id} {self._side} {what}'))

    def _hear(self, message: String) -> None:
        bond_id, side, what = message.data.split()
        if bond_id == self._id and side != self._side:
            self._heard = time.monotonic()
            if what == DEAD:
                self._over.set()
