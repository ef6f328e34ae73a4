"""Where frames are at a stamp, by tf2_ros where that is installed."""

import importlib
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError

PATIENCE_S = 0.1  # for a transform that is on its way


class FrameLookup:
    """Hears /tf and /tf_static while that is needed, and tells where images were taken."""

    def __init__(self, node: Node, frame: str) -> None:
        """Find the library; nothing is heard yet.

        Args:
            node: that listens; its executor must run while `matrix` waits on another thread.
            frame: that everything is told in, such as map.

        Raises:
            ConfigError: tf2_ros is not installed.
        """
        if importlib.util.find_spec('tf2_ros') is None:
            raise ConfigError(
                f'objects.frame {frame!r} needs tf2_ros, which is not installed (apt install '
                "ros-$ROS_DISTRO-tf2-ros-py): leave it empty for boxes in the camera's frame"
            )
        self._tf2 = importlib.import_module('tf2_ros')
        self.frame, self._node = frame, node
        self._buffer, self._listener, self._jumps = self._tf2.Buffer(), None, None

    def need(self, needed: bool) -> None:
        """Subscribe or unsubscribe. Runs on the executor's thread."""
        if needed and self._listener is None:
            # A buffer that knows the node would offer a service of it, for good.
            self._buffer = self._tf2.Buffer()
            self._listener = self._tf2.TransformListener(
                self._buffer, self._node, spin_thread=False
            )
            back = JumpThreshold(
                min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True
            )
            clear = self._buffer.clear
            self._jumps = self._node.get_clock().create_jump_callback(
                back, post_callback=lambda jump: clear()
            )
        elif not needed and self._listener is not None:
            self._listener.unregister()
            self._jumps.unregister()
            self._listener = self._jumps = None

    def matrix(self, header: Header) -> NDArray[np.float64]:
        """Return the (4, 4) transform from a header's frame at its stamp.

        Raises:
            FrameError: it is not known.
        """
        try:
            found = self._buffer.lookup_transform(
                self.frame,
                header.frame_id,
                Time.from_msg(header.stamp),
                Duration(seconds=PATIENCE_S),
            )
        except (self._tf2.TransformException, ValueError) as error:  # or a stamp before 1970
            raise FrameError(
                f'no transform from {header.frame_id!r} to {self.frame!r}: {error}'
            ) from error
        return matrix_of(found.transform)


def matrix_of(transform: Any) -> NDArray[np.float64]:
    """Return a geometry_msgs/Transform as a (4, 4) matrix."""
    q, t = transform.rotation, transform.translation
    x, y, z, w = np.array([q.x, q.y, q.z, q.w]) / np.linalg.norm([q.x, q.y, q.z, q.w])
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), t.x],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), t.y],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), t.z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
