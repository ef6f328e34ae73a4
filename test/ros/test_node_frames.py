"""Frames on the way through the node: refused, dropped, failed, and what is built for them."""

import array
from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from harness import (
    HEIGHT,
    NAME,
    WIDTH,
    Diagnosis,
    Peer,
    RunningNode,
    active_node,
    header,
    photo_message,
    until,
)
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from semantic_fast_sam_ros.core.outputs import frame_outputs, overlay
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.ros import node as node_module


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give the node, active, for the module."""
    with active_node() as running:
        yield running


pytestmark = pytest.mark.usefixtures('running')


def bad(message: Image, **fields: object) -> Image:
    """Return the message with fields that contradict the others."""
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def number(message: Image) -> int:
    """Return the number that a test gave to the image."""
    return int(message.header.stamp.nanosec)


@pytest.mark.parametrize(
    ('message', 'reason'),
    [
        (bad(photo_message(), encoding='32FC3'), "encoding '32FC3' is not supported; accepted:"),
        (bad(photo_message(), data=array.array('B', bytes(100))), 'data has 100 bytes'),
        (bad(photo_message(), step=WIDTH), f'step {WIDTH} is less than a row'),
        (bad(photo_message(), width=0, height=0), 'the image is empty: 0x0'),
    ],
    ids=['encoding', 'data', 'step', 'empty'],
)
def test_refused_frame_is_counted_told_and_survived(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis, message: Image, reason: str
) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera()
    before = running.counts
    peer.feed(camera, message, lambda: running.counts.refused > before.refused)
    status = diagnosis.until_message('images refused', reason)
    assert status.level == DiagnosticStatus.WARN
    assert int(diagnosis.value('frames_refused')) > before.refused
    assert running.counts.failed == before.failed
    assert reason in diagnosis.value('last_error')
    peer.feed(camera, photo_message(5), lambda: labels)


def test_injected_error_drops_the_frame_and_the_node_recovers(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera()
    calls = []

    def broken(pipeline: SemanticFastSam, image: object) -> object:
        calls.append(1)
        raise RuntimeError('CUDA error: injected')

    before = running.counts.failed
    with monkeypatch.context() as patch:
        patch.setattr(SemanticFastSam, '__call__', broken)
        peer.feed(camera, photo_message(11), lambda: len(calls) >= 2)
        diagnosis.until_message('RuntimeError: CUDA error: injected')
        assert not any(number(m) == 11 for m in labels)
    assert running.counts.failed >= before + 2
    peer.feed(camera, photo_message(12), lambda: any(number(m) == 12 for m in labels))
    assert not running.node.failed


def test_counts_add_up_when_the_camera_is_faster(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    camera = peer.camera()
    labels = peer.collect(Image, f'{NAME}/label_image')
    peer.feed(camera, photo_message(20), lambda: labels)
    before = running.counts.dropped
    message = photo_message(21)

    def dropping() -> bool:
        camera.publish(message)
        return running.counts.dropped > before

    until(dropping, 'dropped frames')

    def settled() -> bool:
        counts = running.counts
        return counts.received == counts.ended

    until(settled, 'every frame accounted for')
    dropped = str(running.counts.dropped)
    until(lambda: diagnosis.value('frames_dropped') == dropped, 'drops in the diagnostics')


def test_nothing_is_built_without_subscribers(
    running: RunningNode, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    for module, name in (
        (frame_outputs, 'label_pixels'),
        (frame_outputs, 'detections'),
        (frame_outputs, 'jpeg'),
        (overlay, 'overlay'),
        (frame_outputs, 'resize_result'),
    ):
        real = getattr(module, name)
        spy = lambda *a, real=real, name=name: (built.append(name), real(*a))[1]  # noqa: E731
        monkeypatch.setattr(module, name, spy)
    camera = peer.camera()
    publishers = running.node._cameras[0].outputs.publishers
    until(
        lambda: not any(p.get_subscription_count() for p in publishers),
        'all subscribers of earlier tests are gone',
    )
    before = running.counts.processed
    peer.feed(camera, photo_message(30), lambda: running.counts.processed > before)
    assert built == []

    detections = peer.collect(Detection2DArray, f'{NAME}/detections')
    peer.feed(camera, photo_message(31), lambda: detections)
    assert set(built) == {'resize_result', 'detections'}

    drawn = peer.collect(Image, f'{NAME}/overlay')
    peer.feed(camera, photo_message(32), lambda: drawn)
    assert 'overlay' in built
    assert {'jpeg', 'label_pixels'}.isdisjoint(built)


def test_label_info_comes_before_the_first_label_image(running: RunningNode, peer: Peer) -> None:
    order: list[str] = []
    real = {id(p): p.publish for p in running.node._cameras[0].outputs.publishers}
    outputs = running.node._cameras[0].outputs
    labels = peer.collect(Image, f'{NAME}/label_image')
    for publisher in outputs.publishers:
        topic = publisher.topic_name
        publisher.publish = lambda m, p=publisher, topic=topic: (
            order.append(topic),
            real[id(p)](m),
        )
    outputs._announced = None  # as if no vocabulary had been told yet
    peer.feed(peer.camera(), photo_message(33), lambda: any(number(m) == 33 for m in labels))
    for publisher in outputs.publishers:
        del publisher.publish
    assert order[:2] == [f'{NAME}/label_info', f'{NAME}/label_image']
    assert order.count(f'{NAME}/label_info') == 1


def test_confidence_threshold_set_live_acts_on_the_next_frame(peer: Peer) -> None:
    detections = peer.collect(Detection2DArray, f'{NAME}/detections')
    camera = peer.camera()

    def masks(number: int) -> int:
        peer.feed(
            camera,
            photo_message(number),
            lambda: any(m.header.stamp.nanosec == number for m in detections),
        )
        return len(next(m for m in detections if m.header.stamp.nanosec == number).detections)

    assert masks(40) > 0
    assert peer.set('masks.confidence', 1.0).successful
    assert masks(41) == 0
    assert peer.set('masks.confidence', 0.15).successful
    assert masks(42) > 0


def test_output_size_set_live_sizes_all_images(peer: Peer) -> None:
    images = {t: peer.collect(Image, f'{NAME}/{t}') for t in ('label_image', 'overlay')}
    images |= {t: peer.collect(Image, f'{NAME}/{t}') for t in ('confidence', 'instances')}
    detections = peer.collect(Detection2DArray, f'{NAME}/detections')
    camera = peer.camera()
    assert peer.set('output.size', '200x90').successful
    sent = photo_message(50)
    peer.feed(
        camera,
        sent,
        lambda: all(
            any(m.header == sent.header for m in box) for box in [*images.values(), detections]
        ),
    )
    assert peer.set('output.size', 'input').successful
    for inbox in images.values():
        message = next(m for m in inbox if m.header == sent.header)
        assert (message.width, message.height) == (200, 90)
        assert message.step * 90 == len(message.data)
    boxes = [d.bbox for d in detections[-1].detections]
    assert max(b.center.position.x + b.size_x / 2 for b in boxes) > WIDTH
    assert max(b.center.position.y + b.size_y / 2 for b in boxes) <= 90 + 1e-3
    assert HEIGHT > 90


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('masks.confidence', 1.5, 'masks.confidence'),
        ('masks.model', 'FastSAM-x.pt', 'cannot change while models are loaded'),
        ('output.size', '0x5', 'WIDTHxHEIGHT'),
        ('vote.mode', 'loud', 'must be one of hard'),
    ],
)
def test_bad_live_setting_is_refused_over_the_service(
    peer: Peer, name: str, value: object, reason: str
) -> None:
    result = peer.set(name, value)
    assert not result.successful
    assert reason in result.reason


def test_grey_and_padded_frames_are_labelled(peer: Peer) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    sent = Image(header=header(80), height=HEIGHT, width=WIDTH, encoding='mono16')
    sent.step, sent.is_bigendian = 2 * WIDTH + 10, 1
    sent.data = array.array('B', np.full(sent.step * HEIGHT, 90, np.uint8).tobytes())
    peer.feed(peer.camera(), sent, lambda: any(m.header == sent.header for m in labels))


def test_attributes_of_rclpy_are_not_overwritten(running: RunningNode) -> None:
    base = node_module.LifecycleNode('plain', context=running.context)
    ours = vars(running.node)
    changed = {
        name
        for name, value in vars(base).items()
        if value is not None and type(ours[name]) is not type(value)
    }
    base.destroy_node()
    assert not changed
