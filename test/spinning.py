"""A node in this process, spun by a thread."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from semantic_fast_sam_ros.ros.shutdown import spin

Made = TypeVar('Made', bound=Node)
END_S = 100.0


class Spinning(Generic[Made]):
    """A node in a context of its own, spun by a thread."""

    def __init__(self, make: Callable[[Context], Made]) -> None:
        """Make the node in the context that is given, and spin it."""
        self.context = Context()
        rclpy.init(context=self.context, args=[])
        self.node = make(self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=spin, args=(self._executor,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._thread.join(END_S)
        self._end()
        self.node.destroy_node()
        self.context.try_shutdown()

    def _end(self) -> None:
        """End what the node does, once no callback runs any more."""
