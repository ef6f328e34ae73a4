"""Every image that the node publishes is of an encoding that RViz2 and Foxglove show."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from sensor_msgs.msg import CompressedImage, Image

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import (
    FEATURES,
    PACKED_INSTANCES,
    frame_contents,
)
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names
from semantic_fast_sam_ros.ros.conversions import to_message
from semantic_fast_sam_ros.ros.outputs import TOPICS

pytestmark = pytest.mark.quick

# Of rviz_default_plugins' ros_image_texture.cpp in Jazzy; bayer_* and yuv422 left out.
RVIZ = {'rgb8', 'rgba8', 'bgr8', 'bgra8', 'mono8', 'mono16', '8UC1', '8UC3', '16UC1', '32FC1'}
# Of Foxglove's RawImage schema.
FOXGLOVE = {'rgb8', 'rgba8', 'bgr8', 'bgra8', 'mono8', 'mono16', '8UC1', '8UC3', '16UC1', '32FC1'}
# ~/features holds vectors, which nobody is to look at.
IMAGES = [topic for topic, kind in TOPICS.items() if kind is Image and topic != FEATURES]
FEW, MANY = from_names(['road', 'car']), from_names([f'thing {i}' for i in range(300)])


def _messages(names: Vocabulary) -> dict[str, Image | CompressedImage]:
    wide = names.max_id > 255
    labels = np.arange(12).reshape(3, 4) % 3 * (100 if wide else 1)
    result = SegmentationResult(
        label_map=labels.astype(np.uint16 if wide else np.uint8),
        confidence=(labels > 0).astype(np.uint8),
        instances=labels.astype(np.uint16),
        mask_ids=np.zeros(0, np.uint16),
        boxes=np.zeros((0, 4), np.float32),
        mask_scores=np.zeros(0, np.float32),
        class_ids=np.zeros((0, 1), np.int64),
        class_scores=np.zeros((0, 1), np.float32),
        vocabulary=names,
    )
    wanted = {*IMAGES, PACKED_INSTANCES, 'overlay/compressed', 'label_image/compressed'}
    image = np.zeros((3, 4, 3), np.uint8)
    nothing = Found(('cup',), np.zeros((0, 1), np.float32), 0.5)
    built = frame_contents(image, result, OutputSettings(), wanted, found=nothing)
    return {topic: to_message(content, None) for topic, content in built}


@pytest.mark.parametrize('names', [FEW, MANY], ids=['few classes', 'many classes'])
def test_both_show_every_image_topic_but_hydras(names: Vocabulary) -> None:
    messages = _messages(names)
    named = {'label_image', 'label_colour', 'confidence', 'instances', 'overlay', 'query/heat'}
    assert named == set(IMAGES)
    assert {messages[topic].encoding for topic in IMAGES} <= RVIZ & FOXGLOVE
    assert messages[PACKED_INSTANCES].encoding not in RVIZ | FOXGLOVE


def test_rows_are_tight_and_in_this_machines_order() -> None:
    size = {'mono8': 1, 'mono16': 2, 'rgb8': 3, '32SC1': 4}
    for topic in (*IMAGES, PACKED_INSTANCES):
        message = _messages(FEW)[topic]
        assert message.step == message.width * size[message.encoding], topic
        assert len(message.data) == message.step * message.height
        assert message.is_bigendian == 0


def test_compressed_images_are_of_formats_that_both_decode() -> None:
    messages = _messages(FEW)
    assert bytes(messages['overlay/compressed'].data[:2]) == b'\xff\xd8'
    assert bytes(messages['label_image/compressed'].data[:4]) == b'\x89PNG'
