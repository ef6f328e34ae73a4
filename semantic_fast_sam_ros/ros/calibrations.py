"""The calibration that drivers publish beside an image, heard only while it is needed."""

import time

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from semantic_fast_sam_ros.core.images import calibration
from semantic_fast_sam_ros.core.images.calibration import Calibration, beside
from semantic_fast_sam_ros.ros import connections, qos

PATIENCE_S = 3.0  # before a silent topic is a problem


class CameraInfoInput:
    """The newest CameraInfo of an image topic."""

    def __init__(self, node: Node, image_topic: str) -> None:
        """Name the image topic, as it is before remapping; nothing is subscribed to yet."""
        self.topic = info_topic(node, image_topic)
        self._node = node
        self._subscription: Subscription | None = None
        self._newest: CameraInfo | None = None
        self._since = 0.0

    @property
    def calibration(self) -> Calibration | None:
        """What was heard last; None if nothing was since it is needed."""
        message = self._newest  # another thread may change it
        return None if message is None else calibration.read(message)

    def need(self, needed: bool) -> None:
        """Subscribe or unsubscribe. Runs on the executor's thread."""
        if needed and self._subscription is None:
            self._since = time.monotonic()
            self._subscription = self._node.create_subscription(
                CameraInfo,
                self.topic,
                self._take,
                qos.input_qos('best_effort'),
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )
        elif not needed and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._newest = None

    def problem(self) -> str:
        """Return why nothing is heard though it is needed; '' otherwise."""
        if self._subscription is None or self._newest is not None:
            return ''
        mismatch = connections.input_problem(self._node, self._subscription)
        silent = time.monotonic() - self._since > PATIENCE_S
        return mismatch or (f'no camera_info on {self.topic}' if silent else '')

    def _take(self, message: CameraInfo) -> None:
        self._newest = message


def info_topic(node: Node, image_topic: str) -> str:
    """Return where the calibration of an image topic is: beside it, as image_transport looks.

    Args:
        node: with the remappings.
        image_topic: before remapping: for `image` remapped to /cam/image_raw it is
            /cam/camera_info, unless `camera_info` is remapped too.
    """
    plain = beside(image_topic)
    asked = str(node.resolve_topic_name(plain))
    if asked != node.resolve_topic_name(plain, only_expand=True):
        return asked
    return str(node.resolve_topic_name(beside(str(node.resolve_topic_name(image_topic)))))
