"""What an independent observer receives from the node, a process of its own, over DDS."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import pytest
from harness import (
    BEST_EFFORT,
    HEIGHT,
    LATCHED,
    NAME,
    RELIABLE,
    WIDTH,
    NodeProcess,
    Peer,
    photo_message,
    until,
)
from numpy.typing import NDArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray, LabelInfo

CAMERA = '/cam/image_raw'
# topic -> encoding, bytes a pixel
IMAGES = {
    'label_image': ('mono8', 1),
    'confidence': ('mono8', 1),
    'instances': ('mono16', 2),
    'overlay': ('rgb8', 3),
}
pytestmark = pytest.mark.usefixtures('active_process')


@pytest.fixture(scope='module')
def observer() -> Iterator[Peer]:
    """Give an observer for the module."""
    peer = Peer('independent_observer')
    yield peer
    peer.close()


@pytest.fixture(scope='module')
def outputs(active_process: NodeProcess, observer: Peer) -> dict[str, Any]:
    """Give one message of each topic, all of the same input image, and the input."""
    kinds = dict.fromkeys(IMAGES, Image)
    kinds |= {'overlay/compressed': CompressedImage, 'detections': Detection2DArray}
    inboxes = {
        topic: observer.collect(kind, f'{NAME}/{topic}', RELIABLE) for topic, kind in kinds.items()
    }
    label_info = observer.collect(LabelInfo, f'{NAME}/label_info', LATCHED)
    sent = photo_message(41)
    observer.feed(
        observer.camera(CAMERA), sent, lambda: all(inboxes.values()) and bool(label_info)
    )
    received = {topic: inbox[0] for topic, inbox in inboxes.items()}
    return received | {'sent': sent, 'label_info': label_info[0]}


def pixels(message: Image) -> NDArray[Any]:
    """Return the pixels as a consumer reads them."""
    kind = np.dtype(np.uint16 if message.encoding == 'mono16' else np.uint8)
    return np.frombuffer(message.data, kind).reshape(message.height, message.step // kind.itemsize)


@pytest.mark.parametrize('topic', IMAGES)
def test_images_have_the_encoding_and_size_of_the_contract(
    outputs: dict[str, Any], topic: str
) -> None:
    encoding, pixel_bytes = IMAGES[topic]
    message = outputs[topic]
    assert message.encoding == encoding
    assert (message.height, message.width) == (HEIGHT, WIDTH)
    assert message.step == WIDTH * pixel_bytes
    assert len(message.data) == message.step * HEIGHT
    assert message.is_bigendian == 0


def test_every_output_copies_the_input_header(outputs: dict[str, Any]) -> None:
    sent = outputs['sent'].header
    for topic in (*IMAGES, 'overlay/compressed', 'detections'):
        assert outputs[topic].header == sent, topic
    assert all(d.header == sent for d in outputs['detections'].detections)


def test_labels_are_ids_of_label_info(outputs: dict[str, Any]) -> None:
    known = {c.class_id: c.class_name for c in outputs['label_info'].class_map}
    used = set(np.unique(pixels(outputs['label_image']))) - {0}
    assert used
    assert used <= set(known)
    assert 0 not in known
    assert 'road' in known.values()


def test_confidence_is_0_where_and_only_where_unlabelled(outputs: dict[str, Any]) -> None:
    unlabelled = pixels(outputs['label_image']) == 0
    np.testing.assert_array_equal(pixels(outputs['confidence']) == 0, unlabelled)


def test_detections_and_instances_carry_the_same_ids(outputs: dict[str, Any]) -> None:
    detections = outputs['detections'].detections
    ids = [int(d.id) for d in detections]
    assert ids
    assert len(set(ids)) == len(ids)
    assert set(np.unique(pixels(outputs['instances']))) - {0} <= set(ids)


def test_boxes_lie_in_the_image_and_hold_their_mask(outputs: dict[str, Any]) -> None:
    instances = pixels(outputs['instances'])
    for detection in outputs['detections'].detections:
        box, centre = detection.bbox, detection.bbox.center.position
        left, right = centre.x - box.size_x / 2, centre.x + box.size_x / 2
        top, bottom = centre.y - box.size_y / 2, centre.y + box.size_y / 2
        assert -1e-3 <= left < right <= WIDTH + 1e-3
        assert -1e-3 <= top < bottom <= HEIGHT + 1e-3
        rows, columns = np.nonzero(instances == int(detection.id))
        if rows.size:
            assert left - 1 <= columns.min() and columns.max() <= right + 1
            assert top - 1 <= rows.min() and rows.max() <= bottom + 1


def test_hypotheses_are_ranked_names_of_label_info(outputs: dict[str, Any]) -> None:
    names = {c.class_name for c in outputs['label_info'].class_map}
    ranked = [d.results for d in outputs['detections'].detections if d.results]
    assert ranked
    for results in ranked:
        scores = [r.hypothesis.score for r in results]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1 for score in scores)
        assert {r.hypothesis.class_id for r in results} <= names


def test_overlay_is_the_image_coloured(outputs: dict[str, Any]) -> None:
    overlay = np.frombuffer(outputs['overlay'].data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    sent = np.frombuffer(outputs['sent'].data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    unlabelled = pixels(outputs['label_image']) == 0
    assert np.mean(overlay != sent) > 0.3
    assert np.abs(overlay.astype(int) - sent).mean() < 100
    assert unlabelled.mean() < 1


def test_compressed_overlay_is_the_overlay_as_jpeg(outputs: dict[str, Any]) -> None:
    message = outputs['overlay/compressed']
    assert 'jpeg' in message.format
    decoded = np.asarray(PIL.Image.open(io.BytesIO(message.data.tobytes())))
    overlay = np.frombuffer(outputs['overlay'].data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    assert decoded.shape == overlay.shape
    assert np.abs(decoded.astype(int) - overlay).mean() < 12


def test_late_joiner_gets_label_info(outputs: dict[str, Any]) -> None:
    late = Peer('late_joiner')
    inbox = late.collect(LabelInfo, f'{NAME}/label_info', LATCHED)
    until(lambda: inbox, 'label info for a late joiner')
    assert inbox[0].class_map == outputs['label_info'].class_map
    late.close()


@pytest.mark.parametrize('profile', [BEST_EFFORT, RELIABLE], ids=['best_effort', 'reliable'])
def test_publishers_of_either_reliability_are_heard(peer: Peer, profile: QoSProfile) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera(CAMERA, profile=profile)
    sent = photo_message(52 if profile is RELIABLE else 51)
    peer.feed(camera, sent, lambda: any(m.header == sent.header for m in labels))


def test_best_effort_subscriber_is_served(peer: Peer) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image', BEST_EFFORT)
    peer.feed(peer.camera(CAMERA), photo_message(53), lambda: labels)


def test_size_change_in_mid_stream_changes_the_outputs(peer: Peer) -> None:
    inboxes = [peer.collect(Image, f'{NAME}/{topic}') for topic in IMAGES]
    camera = peer.camera(CAMERA)
    for number, (height, width) in enumerate([(96, 128), (150, 110), (96, 128)], start=60):
        sent = photo_message(number, height, width)
        found = peer.feed(
            camera,
            sent,
            lambda sent=sent: [m for box in inboxes for m in box if m.header == sent.header],
        )
        assert {(m.height, m.width) for m in found} == {(height, width)}


def test_nothing_is_republished_for_a_frame(peer: Peer) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera(CAMERA)
    peer.feed(camera, photo_message(70), lambda: labels)
    last = photo_message(71)
    until(lambda: camera.get_subscription_count() == 1, 'the node as only subscriber')
    camera.publish(last)
    peer.feed(camera, photo_message(72), lambda: labels[-1].header.stamp.nanosec == 72)
    assert sum(m.header == last.header for m in labels) <= 1
