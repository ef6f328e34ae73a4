"""The node's topics: built only while somebody subscribes, all with the input's header."""

import numpy as np
from numpy.typing import NDArray
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from semantic_fast_sam_ros.core.config import OutputSettings
from semantic_fast_sam_ros.core.contents import (
    OVERLAY,
    OVERLAY_JPEG,
    PACKED_INSTANCES,
    frame_contents,
)
from semantic_fast_sam_ros.core.types import SegmentationResult
from semantic_fast_sam_ros.core.vocabulary import Vocabulary
from semantic_fast_sam_ros.ros import conversions, qos

TOPICS: dict[str, type] = {
    'label_image': Image,
    'confidence': Image,
    'instances': Image,
    OVERLAY: Image,
    OVERLAY_JPEG: CompressedImage,
    'detections': Detection2DArray,
}


class Outputs:
    """Publishers of one camera of a configured node."""

    def __init__(self, node: LifecycleNode, settings: OutputSettings, prefix: str = '~') -> None:
        """Create the publishers of PREFIX/label_image and so on."""
        self._node = node
        profile = qos.output_qos(settings.reliability, settings.depth)
        # Subscribers that cannot be served are reported by ros/connections.py.
        silent = PublisherEventCallbacks(use_default_callbacks=False)
        topics = TOPICS | ({PACKED_INSTANCES: Image} if settings.packed_instances else {})
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
        """Whether anybody takes what is published a frame."""
        return any(p.get_subscription_count() > 0 for p in self._publishers.values())

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in self.publishers:
            self._node.destroy_publisher(publisher)

    def announce(self, vocabulary: Vocabulary, header: Header) -> None:
        """Publish ids and names, if they are not the ones that subscribers already have."""
        if vocabulary != self._announced:
            self._label_info.publish(conversions.label_info(vocabulary, header))
            self._announced = vocabulary

    def publish(
        self,
        image: NDArray[np.uint8],
        result: SegmentationResult,
        settings: OutputSettings,
        header: Header,
    ) -> None:
        """Publish what is subscribed to; label info first.

        Args:
            image: (H, W, 3) RGB, the input.
            result: of that image.
            settings: as they stand for this frame.
            header: of the input, copied unchanged.
        """
        self.announce(result.vocabulary, header)
        wanted = {topic for topic, p in self._publishers.items() if p.get_subscription_count() > 0}
        if not wanted:
            return
        for topic, content in frame_contents(image, result, settings, wanted):
            self._publishers[topic].publish(conversions.to_message(content, header))
