"""vision_msgs, built here or a real one, is the released one on the wire."""

import time
from collections.abc import Iterator

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: rclpy is missing')

import rclpy
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from semantic_fast_sam_ros.tools.doctor import type_hash

DEADLINE_S = 10.0
# Of the released package, 4.1.1.
HASHES = {
    Detection2DArray: 'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    Detection3DArray: 'RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
    LabelInfo: 'RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
}


@pytest.fixture(name='node')
def _node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('vision_msgs_test', context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize('message', HASHES, ids=lambda message: message.__name__)
def test_installed_type_hash_is_the_released_one(message):
    assert type_hash(message.__name__) == HASHES[message]


@pytest.mark.parametrize('message', HASHES, ids=lambda message: message.__name__)
def test_type_hash_announced_over_dds_is_the_released_one(node, message):
    node.create_publisher(message, 'probe', 1)
    deadline = time.monotonic() + DEADLINE_S
    while not (found := node.get_publishers_info_by_topic('/probe')):
        assert time.monotonic() < deadline, 'the publisher was never discovered'
        time.sleep(0.02)
    assert str(found[0].topic_type_hash) == HASHES[message]


def test_detections_survive_the_wire():
    detection = Detection2D(id='7')
    detection.bbox.center.position.x, detection.bbox.size_y = 12.5, 3.25
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = 'road', 0.75
    detection.results = [result]
    sent = Detection2DArray(detections=[detection])
    assert deserialize_message(serialize_message(sent), Detection2DArray) == sent


def test_boxes_in_space_survive_the_wire():
    detection = Detection3D(id='7')
    detection.bbox.center.position.z, detection.bbox.size.x = 2.5, 0.75
    result = ObjectHypothesisWithPose()
    result.pose.covariance[0] = 0.25
    detection.results = [result]
    sent = Detection3DArray(detections=[detection])
    assert deserialize_message(serialize_message(sent), Detection3DArray) == sent


def test_label_info_survives_the_wire():
    sent = LabelInfo(class_map=[VisionClass(class_id=65535, class_name='Straße')], threshold=0.5)
    assert deserialize_message(serialize_message(sent), LabelInfo) == sent
