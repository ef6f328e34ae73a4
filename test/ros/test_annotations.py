"""Outlines and names for Foxglove, where foxglove_msgs is installed."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('foxglove_msgs.msg', reason='foxglove_msgs is not installed')

from foxglove_msgs.msg import ImageAnnotations, PointsAnnotation
from harness import header, until
from rclpy.lifecycle import LifecycleNode

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names
from semantic_fast_sam_ros.ros.outputs import Outputs

NAMES = from_names(['road', 'car'])


def _result() -> SegmentationResult:
    """Return a car in the middle of 12 x 20 pixels, and a mask without a name at the top left."""
    instances = np.zeros((12, 20), np.uint16)
    instances[4:10, 5:15] = 1
    instances[:3, :3] = 2
    return SegmentationResult(
        label_map=np.where(instances == 1, 2, 0).astype(np.uint8),
        confidence=np.where(instances == 1, 99, 0).astype(np.uint8),
        instances=instances,
        mask_ids=np.array([1, 2], np.uint16),
        boxes=np.array([[5, 4, 15, 10], [0, 0, 3, 3]], np.float32),
        mask_scores=np.ones(2, np.float32),
        class_ids=np.array([[2], [0]]),
        class_scores=np.array([[0.8], [0.0]], np.float32),
        vocabulary=NAMES,
    )


def test_masks_are_published_as_closed_lines_with_names(peer):
    node = LifecycleNode('annotator', context=peer.context)
    outputs = Outputs(node, OutputSettings())
    inbox = peer.collect(ImageAnnotations, '/annotator/annotations')
    (publisher,) = (p for p in outputs.publishers if p.topic_name == '/annotator/annotations')
    try:
        until(publisher.get_subscription_count, 'the observer is connected')
        outputs.publish(np.zeros((12, 20, 3), np.uint8), _result(), OutputSettings(), header(7))
        message = until(lambda: inbox, 'annotations')[0]
    finally:
        outputs.destroy()
        node.destroy_node()
    car, nameless = message.points
    assert car.type == nameless.type == PointsAnnotation.LINE_LOOP
    assert (car.timestamp.nanosec, car.thickness) == (7, 2.0)
    corners = {(p.x, p.y) for p in car.points}
    assert corners == {(5.5, 4.5), (14.5, 4.5), (14.5, 9.5), (5.5, 9.5)}
    colour = car.outline_color
    shade = tuple(round(255 * v) for v in (colour.r, colour.g, colour.b))
    assert (shade, colour.a) == (NAMES.find('car').colour, 1.0)
    (name,) = message.texts
    assert (name.text, name.timestamp.nanosec) == ('car', 7)
    middle = (10 - name.font_size * len('car') / 4, 7 + name.font_size / 2)
    assert (name.position.x, name.position.y) == (max(0, middle[0]), max(14, middle[1]))
