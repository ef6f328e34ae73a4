"""Several cameras share one set of models, each with topics and counts of its own."""

import time
from collections.abc import Iterator

import pytest
from harness import LATCHED, NAME, Diagnosis, Peer, RunningNode, active_node, photo_message, until
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config, from_values, parse_cameras
from semantic_fast_sam_ros.ros import camera


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give a node of three cameras, of which one is dead and one remapped."""
    with active_node(
        '-r',
        'front/image:=/robot/front_camera/image_raw',
        cameras='front, left, dead',
        input__timeout_s=1.0,
        rest_without_subscribers=True,
        temporal__hysteresis=0.5,
    ) as running:
        yield running


def test_each_camera_is_answered_on_topics_of_its_own(running: RunningNode, peer: Peer) -> None:
    front = peer.camera('/robot/front_camera/image_raw')
    left = peer.camera('/left/image')
    labels = {n: peer.collect(Image, f'{NAME}/{n}/label_image') for n in ('front', 'left')}
    infos = {n: peer.collect(LabelInfo, f'{NAME}/{n}/label_info', LATCHED) for n in labels}
    sent = {'front': photo_message(1, 90, 120), 'left': photo_message(2, 60, 100)}
    left.publish(sent['left'])
    peer.feed(front, sent['front'], lambda: labels['front'] and infos['front'])
    peer.feed(left, sent['left'], lambda: labels['left'] and infos['left'])
    for name, inbox in labels.items():
        assert all(m.header == sent[name].header for m in inbox)
        assert (inbox[0].height, inbox[0].width) == (sent[name].height, sent[name].width)
    assert infos['front'][0].class_map == infos['left'][0].class_map
    topics = dict(peer.node.get_topic_names_and_types())
    assert f'{NAME}/label_image' not in topics and '/image' not in topics


def test_dead_camera_holds_nobody_up_and_is_named(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    diagnosis.until_message('no image on /dead/image for')
    statuses = {s.name: s for s in diagnosis._inbox[-1].status}
    assert set(statuses) == {
        f'{NAME}: segmentation',
        *(f'{NAME}/{name}: segmentation' for name in ('front', 'left', 'dead')),
    }
    assert 'no image on /dead/image' in statuses[f'{NAME}/dead: segmentation'].message
    left = peer.camera('/left/image')
    labels = peer.collect(Image, f'{NAME}/left/label_image')
    peer.feed(left, photo_message(3), lambda: labels)
    assert running.node._worker.counts_of('dead').received == 0


def test_camera_nobody_subscribes_to_rests(running: RunningNode, peer: Peer) -> None:
    front = peer.camera('/robot/front_camera/image_raw')
    left = peer.camera('/left/image')
    labels = peer.collect(Image, f'{NAME}/left/label_image')
    outputs = {camera.name: camera.outputs for camera in running.node._cameras}
    until(lambda: not outputs['front'].subscribed, 'earlier subscribers are gone')
    before = running.node._worker.counts_of('front')

    def rested() -> bool:
        left.publish(photo_message(5, 60, 100))
        return running.node._worker.counts_of('front').idle > before.idle

    peer.feed(front, photo_message(4), rested)
    peer.feed(left, photo_message(6), lambda: labels)
    assert running.node._worker.counts_of('front').processed == before.processed
    assert running.node._worker.counts_of('left').processed > 0


def test_each_camera_remembers_its_own_image_before(
    running: RunningNode, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[tuple[int, ...], tuple[int, ...] | None]] = []
    real = SemanticFastSam.__call__

    def call(self, image, earlier=None, seen_together=None, before=None):
        seen.append((image.shape[:2], before.label_map.shape if before else None))
        return real(self, image, earlier, seen_together, before)

    monkeypatch.setattr(SemanticFastSam, '__call__', call)
    monkeypatch.setattr(camera, 'BEFORE_S', 60.0)  # however slow the machine is
    sent = [('/robot/front_camera/image_raw', (90, 120)), ('/left/image', (60, 100))]
    publishers = [(peer.camera(topic), size) for topic, size in sent]
    peer.collect(Image, f'{NAME}/front/label_image')
    peer.collect(Image, f'{NAME}/left/label_image')

    def fed() -> bool:
        for publisher, size in publishers:
            publisher.publish(photo_message(7, *size))
        return set(seen) >= {((90, 120), (90, 120)), ((60, 100), (60, 100))}

    until(fed, 'both cameras were labelled twice')
    mixed = {((90, 120), (60, 100)), ((60, 100), (90, 120))}
    assert not mixed & set(seen)  # other sizes: what earlier tests showed the same camera


def test_after_a_pause_no_image_is_the_one_before(
    running: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = running.node._cameras[0]
    monkeypatch.setattr(front, '_newest', labels := object())
    monkeypatch.setattr(front, '_newest_s', time.monotonic())
    assert front.labels_before() is labels
    monkeypatch.setattr(front, '_newest_s', time.monotonic() - camera.BEFORE_S - 0.1)
    assert front.labels_before() is None


@pytest.mark.parametrize('text', ['front,', 'front, 2nd', 'front, front', 'a/b', 'für, vorn'])
def test_camera_names_that_make_no_topics_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match='cameras'):
        from_values({'cameras': text})


def test_camera_names_are_read_from_text_or_list() -> None:
    assert parse_cameras(Config().cameras) == ('',)
    assert parse_cameras(' front ,left') == ('front', 'left')
    assert from_values({'cameras': ['front', 'left']}).cameras == 'front, left'
