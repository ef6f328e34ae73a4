"""The node over DDS and label_bag give the same labels for the same recording."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is missing: source scripts/env.sh')

import harness
from bags.fakes import Brightness
from bags.recordings import PERIOD_NS, START_NS, header, image_message, write_bag
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from semantic_fast_sam_ros.bags.job import OF_LABELS, Job
from semantic_fast_sam_ros.bags.messages import label_info, new, output_message, serialise
from semantic_fast_sam_ros.bags.reader import BagReader, all_topics
from semantic_fast_sam_ros.bags.run import label_recording
from semantic_fast_sam_ros.core.objects import box_messages
from semantic_fast_sam_ros.core.objects.boxes_3d import Box3D, Boxes3D
from semantic_fast_sam_ros.core.outputs.frame_outputs import frame_contents
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.ros import conversions

COUNT = 5
KINDS = {
    'label_image': Image,
    'confidence': Image,
    'instances': Image,
    'detections': Detection2DArray,
    'overlay/compressed': CompressedImage,
}


def test_messages_equal_those_of_rclpy():
    image = harness.street(36, 50)
    result = Brightness()(image)
    ours = header(START_NS, 'front')
    theirs = Header(frame_id='front')
    theirs.stamp.sec, theirs.stamp.nanosec = START_NS // 10**9, START_NS % 10**9
    settings = from_values({}).output
    for name, content in frame_contents(image, result, settings, OF_LABELS):
        live = conversions.to_message(content, theirs)
        # Not byte for byte: Fast CDR leaves whatever it finds in the padding.
        data = serialise(output_message(content, ours))
        assert len(data) == len(serialize_message(live)), name
        assert deserialize_message(data, type(live)) == live, name
    live = conversions.label_info(result.vocabulary, theirs)
    assert deserialize_message(serialise(label_info(result.vocabulary, ours)), LabelInfo) == live


def test_boxes_in_space_equal_those_of_rclpy():
    seen = ('bus', 0.75), ('van', 0.25)
    one = Box3D(
        '7', (0.5, -1.0, 4.0), (1.0, 2.0, 0.0), np.diag([0.1, 0.2, 0.3]), seen, (255, 0, 9)
    )
    other = Box3D('9', (0.0, 0.0, 2.0), (0.5, 0.5, 0.5), np.eye(3), (), (0, 0, 0))
    theirs = Header(frame_id='front')
    theirs.stamp.sec, theirs.stamp.nanosec = START_NS // 10**9, START_NS % 10**9
    for build in (box_messages.detections_3d, box_messages.marker_array):
        for boxes in ((one, other), ()):
            found = Boxes3D(boxes, 0)
            live = build(conversions.new, found, theirs)
            data = serialise(build(new, found, header(START_NS, 'front')))
            sent = serialize_message(live)  # with colours as 32 bits
            assert len(data) == len(sent)
            assert deserialize_message(data, type(live)) == deserialize_message(sent, type(live))


def _drive(folder: Path) -> Path:
    """Write a recording in which the street moves."""
    street = harness.street(harness.HEIGHT, harness.WIDTH)
    frames = [
        ('/camera', taken, image_message(np.roll(street, 13 * i, axis=1), taken))
        for i in range(COUNT)
        for taken in [START_NS + i * PERIOD_NS]
    ]
    return write_bag(folder, frames)


@pytest.fixture
def node_process(tmp_path: Path) -> Iterator[harness.NodeProcess]:
    """Give the node in a process of its own, active, however long a busy machine takes."""
    running = harness.NodeProcess(tmp_path / 'log.txt', '-r', 'image:=/cam/image_raw')

    def started() -> bool:
        return (
            'waiting for images' in running.log.read_text() or running.process.poll() is not None
        )

    try:
        harness.until(started, 'the node has started', 4 * harness.TIMEOUT_S)
        assert running.process.poll() is None, running.log.read_text()
        yield running
    finally:
        running.close()


def _key(message: Any) -> int:
    return int(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)


@pytest.mark.timeout(600)
def test_live_and_offline_labels_are_identical(
    tmp_path: Path, peer: harness.Peer, node_process: harness.NodeProcess
) -> None:
    """Play slowly enough that nothing is dropped: the next image after the labels of the last."""
    bag = _drive(tmp_path / 'bag')
    config = from_values(dict(harness.QUICK))
    outcome = label_recording(
        bag, tmp_path / 'out', config, Job(), SemanticFastSam, threading.Event(), progress=False
    )
    assert outcome.statistics.frame_count == COUNT
    offline: dict[str, list[bytes]] = {}
    for message in BagReader(tmp_path / 'out').messages(all_topics):
        offline.setdefault(message.topic.name, []).append(message.data)
    inboxes = {
        topic: peer.collect(kind, topic)
        for topic, kind in ((f'{harness.NAME}/{name}', kind) for name, kind in KINDS.items())
    }
    infos = peer.collect(LabelInfo, f'{harness.NAME}/label_info', harness.LATCHED)
    camera = peer.camera('/cam/image_raw')
    for recorded in BagReader(bag).messages(all_topics):
        image = deserialize_message(recorded.data, Image)

        def answered(key: int = _key(image)) -> bool:
            return all(any(_key(m) == key for m in inbox) for inbox in inboxes.values())

        peer.feed(camera, image, answered)
    for topic, inbox in inboxes.items():
        live = {_key(message): message for message in inbox}
        read = [deserialize_message(data, type(inbox[0])) for data in offline[topic]]
        assert [live[key] for key in sorted(live)] == read, topic
    classes = {(c.class_id, c.class_name) for c in infos[-1].class_map}
    assert classes and classes == {
        (c.class_id, c.class_name)
        for c in deserialize_message(offline[f'{harness.NAME}/label_info'][0], LabelInfo).class_map
    }
