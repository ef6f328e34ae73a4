"""One camera of the node: its subscription, its outputs, its figures."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from semantic_fast_sam_ros.core.config import Config
from semantic_fast_sam_ros.ros import connections, diagnostics, qos
from semantic_fast_sam_ros.ros.outputs import Outputs
from semantic_fast_sam_ros.ros.statistics import FrameStatistics

INPUT_TOPIC = 'image'
Message: TypeAlias = 'Image | CompressedImage'


class Camera:
    """A camera by name; '' is the only one of a node."""

    def __init__(
        self, node: LifecycleNode, name: str, config: Config, receive: Callable[['Frame'], None]
    ) -> None:
        """Create the publishers.

        Args:
            node: that owns the topics.
            name: its topics are NAME/image and ~/NAME/label_image, ...; without the name for ''.
            config: as it stands at configure.
            receive: takes each image; must return at once.
        """
        self.name = name
        self.outputs = Outputs(node, config.output, f'~/{name}'.rstrip('/'))
        self.statistics = FrameStatistics()
        self._node, self._settings, self._receive = node, config.input, receive
        self._subscription: Subscription | None = None
        self._last_image = time.monotonic()

    @property
    def topic(self) -> str:
        """The topic listened to, as resolved and remapped."""
        # Resolved first: a remapping of `image` is to move `image/compressed` with it.
        plain = f'{self.name}/{INPUT_TOPIC}'.lstrip('/')
        topic = str(self._node.resolve_topic_name(plain))
        return f'{topic}/compressed' if self._settings.transport == 'compressed' else topic

    def subscribe(self) -> None:
        """Listen to images."""
        self._last_image = time.monotonic()
        self._subscription = self._node.create_subscription(
            CompressedImage if self._settings.transport == 'compressed' else Image,
            self.topic,
            self._take,
            qos.input_qos(self._settings.reliability),
            # Publishers that cannot be heard are reported by ros/connections.py.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def unsubscribe(self) -> None:
        """Stop listening; may be called twice."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def destroy(self) -> None:
        """Remove all topics."""
        self.unsubscribe()
        self.outputs.destroy()

    def problems(self) -> dict[str, str]:
        """Return what is wrong with the connections, by kind."""
        publishers = self.outputs.publishers
        problems = {diagnostics.OUTPUT: connections.output_problem(self._node, publishers)}
        if self._subscription is not None:
            problems[diagnostics.INPUT] = connections.input_problem(self._node, self._subscription)
            problems[diagnostics.SILENCE] = self._silence(self._subscription.topic_name)
        return {kind: text for kind, text in problems.items() if text}

    def _take(self, message: Message) -> None:
        self._last_image = time.monotonic()
        self._receive(Frame(self, message))

    def _silence(self, topic: str) -> str:
        silent_s = time.monotonic() - self._last_image
        if silent_s <= self._settings.timeout_s:
            return ''
        publishers = self._node.count_publishers(topic)
        plural = '' if publishers == 1 else 's'
        return f'no image on {topic} for {silent_s:.0f} s ({publishers} publisher{plural} there)'


@dataclass(frozen=True)
class Frame:
    """An image of a camera."""

    camera: Camera
    message: Message
