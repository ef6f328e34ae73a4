"""What a query finds out of sight, as an independent observer hears it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')
pytest.importorskip('lap', reason='lap is missing: requirements/base.txt')

from harness import NAME, Diagnosis, Peer, RunningNode, active_node, photo_message, until
from sensor_msgs.msg import Image
from std_msgs.msg import String
from tiny_clip import write_clip
from vision_msgs.msg import Detection2DArray

from semantic_fast_sam_ros.core.objects.track_ids import LAST_TRACK
from semantic_fast_sam_ros.ros.conversions import array_to_image

HEIGHT, WIDTH = 240, 320
START_NS, PERIOD_NS = 1_700_000_000 * 10**9, 50_000_000
THINGS = 'classes: [{name: road, thing: true}, {name: car, thing: true}]'


@pytest.fixture(scope='module')
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Give a node that remembers, with a tiny CLIP, every object an answer."""
    with active_node(
        labeller='clip',
        clip__model=str(write_clip(tmp_path_factory.mktemp('models') / 'clip')),
        vocabulary=THINGS,
        tracking='bytetrack',
        memory__keep_s=10.0,
        query__threshold=0.0,
        masks__confidence=0.05,
        rest_without_subscribers=True,
    ) as running:
        yield running


class Rig:
    """A camera, somebody who asks, and an observer."""

    def __init__(self, peer: Peer) -> None:
        self._peer, self._camera = peer, peer.camera()
        topics = ('detections', 'query/remembered')
        self._inboxes = [peer.collect(Detection2DArray, f'{NAME}/{topic}') for topic in topics]

    def shoot(self, stamp_ns: int, blank: bool = False) -> list[Detection2DArray]:
        """Send an image with a stamp; return what is in sight, and what is remembered."""
        sent: Image = photo_message(1, HEIGHT, WIDTH)
        if blank:
            grey = np.full((HEIGHT, WIDTH, 3), 114, np.uint8)
            sent = array_to_image(grey, 'rgb8', sent.header)
        sent.header.stamp.sec, sent.header.stamp.nanosec = divmod(stamp_ns, 10**9)

        def answers() -> Any:
            found = [[m for m in inbox if m.header == sent.header] for inbox in self._inboxes]
            return all(found) and [messages[0] for messages in found]

        return self._peer.feed(self._camera, sent, answers)


def test_objects_out_of_sight_are_told_with_their_last_stamp_until_they_are_forgotten(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    asker = peer.node.create_publisher(String, f'{NAME}/query', 10)
    until(asker.get_subscription_count, 'the node listens to queries')
    asker.publish(String(data='dog'))
    until(lambda: diagnosis.value('query') == 'dog', 'the node looks for it')
    rig = Rig(peer)
    for step in range(3):
        seen, remembered = rig.shoot(START_NS + step * PERIOD_NS)
    boxes = {d.id: d.bbox for d in seen.detections if int(d.id) <= LAST_TRACK}
    assert boxes and not {d.id for d in remembered.detections} & boxes.keys()
    _, remembered = rig.shoot(START_NS + 10**9, blank=True)
    told = {d.id: d for d in remembered.detections}
    assert boxes.keys() <= told.keys()
    for number, box in boxes.items():
        assert told[number].header.stamp == seen.header.stamp
        assert told[number].bbox == box
        assert [r.hypothesis.class_id for r in told[number].results] == ['dog']
    scores = [d.results[0].hypothesis.score for d in remembered.detections]
    assert scores == sorted(scores, reverse=True)
    _, remembered = rig.shoot(START_NS + 20 * 10**9, blank=True)
    assert not remembered.detections


def test_images_are_remembered_though_nobody_subscribes(running: RunningNode, peer: Peer) -> None:
    camera, before = peer.camera(), running.counts
    done = before.processed
    peer.feed(camera, photo_message(2, HEIGHT, WIDTH), lambda: running.counts.processed > done)
    assert running.counts.idle == before.idle
