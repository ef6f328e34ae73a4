"""The node's topics: built only while somebody subscribes, all with the input's header."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from semantic_fast_sam_ros.core.images.calibration import Calibration
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import (
    ANNOTATIONS,
    COLOURS,
    FEATURES,
    FOUND,
    HEAT,
    LABELS_PNG,
    OF_FEATURES,
    OVERLAY,
    OVERLAY_JPEG,
    PACKED_INSTANCES,
    POINTS,
    REMEMBERED,
    frame_contents,
)
from semantic_fast_sam_ros.core.settings.node import CAMERA_INFO, OutputSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.ros import conversions, qos
from semantic_fast_sam_ros.ros.annotations import ImageAnnotations
from semantic_fast_sam_ros.ros.queries import Queries

TOPICS: dict[str, type] = {
    'label_image': Image,
    LABELS_PNG: CompressedImage,
    COLOURS: Image,
    'confidence': Image,
    'instances': Image,
    OVERLAY: Image,
    OVERLAY_JPEG: CompressedImage,
    'detections': Detection2DArray,
    CAMERA_INFO: CameraInfo,
    FEATURES: Image,
    FOUND: Detection2DArray,
    HEAT: Image,
}
if ImageAnnotations is not None:
    TOPICS[ANNOTATIONS] = ImageAnnotations


class Outputs:
    """Publishers of one camera of a configured node."""

    def __init__(
        self,
        node: LifecycleNode,
        settings: OutputSettings,
        prefix: str = '~',
        cloud: bool = False,
        queries: Queries | None = None,
        memory: bool = False,
        further: Mapping[str, type] | None = None,
    ) -> None:
        """Create the publishers of PREFIX/label_image and so on, with a cloud if asked for.

        Args:
            node: that publishes.
            settings: quality of service, and which topics there are.
            prefix: of the names.
            cloud: whether there is one.
            queries: what is looked for; without it nobody gets what is made of vectors.
            memory: whether objects are remembered: every image counts then.
            further: topics made elsewhere, sent by `send`.
        """
        self._node, self._queries, self._memory = node, queries, memory
        profile = qos.output_qos(settings.reliability, settings.depth)
        # Subscribers that cannot be served are reported by ros/connections.py.
        silent = PublisherEventCallbacks(use_default_callbacks=False)
        topics = TOPICS | ({PACKED_INSTANCES: Image} if settings.packed_instances else {})
        topics |= {POINTS: PointCloud2} if cloud else {}
        topics |= {REMEMBERED: Detection2DArray} if memory else {}
        topics |= further or {}
        self._publishers = {
            topic: node.create_publisher(
                kind, f'{prefix}/{topic}', profile, event_callbacks=silent
            )
            for topic, kind in topics.items()
        }
        self._label_info = node.create_publisher(
            LabelInfo, f'{prefix}/label_info', qos.latched_qos(), event_callbacks=silent
        )
        self._announced: Vocabulary | None = None

    @property
    def publishers(self) -> list[Publisher]:
        """All publishers."""
        return [*self._publishers.values(), self._label_info]

    @property
    def subscribed(self) -> bool:
        """Whether anybody takes what is published a frame, or a memory does."""
        return self._memory or any(map(self.wants, self._publishers))

    def wants(self, topic: str) -> bool:
        """Say whether anybody takes one of the topics, and there is something to publish on it."""
        if topic in OF_FEATURES and (self._queries is None or not self._queries.fills(topic)):
            return False
        return self._taken(topic)

    @property
    def wants_features(self) -> bool:
        """Whether anybody takes what is made of the masks' vectors, or a memory does."""
        return self._memory or any(map(self.wants, OF_FEATURES))

    def lack(self) -> str:
        """Return why topics that somebody takes stay silent for good; '' if they do not."""
        return self._queries.lack(tuple(filter(self._taken, OF_FEATURES))) if self._queries else ''

    def _taken(self, topic: str) -> bool:
        publisher = self._publishers.get(topic)
        return publisher is not None and publisher.get_subscription_count() > 0

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in self.publishers:
            self._node.destroy_publisher(publisher)

    def announce(self, vocabulary: Vocabulary, header: Header) -> None:
        """Publish ids and names, if they are not the ones that subscribers already have."""
        if vocabulary != self._announced:
            self._label_info.publish(conversions.label_info(vocabulary, header))
            self._announced = vocabulary

    def send(self, topic: str, message: Any) -> None:
        """Publish a message that was built elsewhere."""
        self._publishers[topic].publish(message)

    def publish(
        self,
        image: NDArray[np.uint8],
        result: SegmentationResult,
        settings: OutputSettings,
        header: Header,
        size: tuple[int, int] | None = None,
        calibration: Calibration | None = None,
        found: Found | None = None,
    ) -> None:
        """Publish what is subscribed to; label info first.

        Args:
            image: (H, W, 3) RGB, the input.
            result: of that image.
            settings: as they stand for this frame.
            header: of the input, copied unchanged.
            size: height and width of the outputs, where messages give them.
            calibration: of the image, as far as it is known.
            found: what a query says of the masks, where there is one.
        """
        self.announce(result.vocabulary, header)
        wanted = set(filter(self.wants, self._publishers))
        if not wanted:
            return
        built = frame_contents(image, result, settings, wanted, size, calibration, found)
        for topic, content in built:
            self.send(topic, conversions.to_message(content, header))
