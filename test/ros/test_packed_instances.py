"""The opt-in output that Hydra takes: mask id and class id of a pixel in one 32-bit number."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from harness import header, until
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.frame_outputs import frame_contents, pack_instances
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names
from semantic_fast_sam_ros.ros.outputs import Outputs

TOPIC = '/packer/packed_instances'


def _result(instances: list[list[int]]) -> SegmentationResult:
    return SegmentationResult(
        label_map=np.array([[1, 2, 2], [0, 2, 1]], np.uint8),
        confidence=np.full((2, 3), 9, np.uint8),
        instances=np.array(instances, np.uint16),
        mask_ids=np.zeros(0, np.uint16),
        boxes=np.zeros((0, 4), np.float32),
        mask_scores=np.zeros(0, np.float32),
        class_ids=np.zeros((0, 1), np.int64),
        class_scores=np.zeros((0, 1), np.float32),
        vocabulary=from_names(['road', 'car']),
    )


def test_mask_id_is_above_the_class_id():
    packed = pack_instances(_result([[0, 1, 1], [3, 2, 0]]))
    assert packed.dtype == np.int32
    assert packed.tolist() == [[1, (1 << 16) + 2, (1 << 16) + 2], [3 << 16, (2 << 16) + 2, 1]]


def test_no_mask_id_reaches_the_sign():
    packed = pack_instances(_result([[32767, 32768, 65535], [0, 0, 0]]))
    assert packed[0].tolist() == [(32767 << 16) + 1, 2, 2]
    assert (packed >= 0).all()


@pytest.mark.parametrize('wanted', [False, True])
def test_the_topic_is_there_only_if_asked_for(peer, wanted):
    node = LifecycleNode('packer', context=peer.context)
    outputs = Outputs(node, OutputSettings(packed_instances=wanted))
    try:
        assert (TOPIC in {p.topic_name for p in outputs.publishers}) == wanted
    finally:
        outputs.destroy()
        node.destroy_node()


def test_hydra_unpacks_instance_and_class_of_every_pixel():
    """Hydra takes a pixel apart as `value >> 16` and `value & 0xFFFF`; size as the depth image."""
    result = _result([[0, 1, 1], [3, 32767, 0]])
    (found,) = frame_contents(
        np.zeros((2, 3, 3), np.uint8),
        result,
        OutputSettings(packed_instances=True),
        {'packed_instances'},
        size=(4, 6),
    )
    packed = found[1].pixels
    assert packed.shape == (4, 6) and packed.dtype == np.int32 and (packed >= 0).all()
    assert set(np.unique(packed >> 16)) == {0, 1, 3, 32767}
    twice = result.label_map.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(packed & 0xFFFF, twice)


def test_it_is_published_as_32sc1_with_tight_rows(peer):
    node = LifecycleNode('packer', context=peer.context)
    settings = OutputSettings(packed_instances=True)
    outputs = Outputs(node, settings)
    result, inbox = _result([[0, 1, 1], [3, 2, 0]]), peer.collect(Image, TOPIC)
    (publisher,) = (p for p in outputs.publishers if p.topic_name == TOPIC)
    try:
        until(publisher.get_subscription_count, 'the observer is connected')
        outputs.publish(np.zeros((2, 3, 3), np.uint8), result, settings, header())
        until(lambda: inbox, 'a packed image')
    finally:
        outputs.destroy()
        node.destroy_node()
    message = inbox[0]
    assert (message.encoding, message.step, message.width) == ('32SC1', 12, 3)
    pixels = np.frombuffer(message.data, '<i4').reshape(2, 3)
    assert (pixels == pack_instances(result)).all()
