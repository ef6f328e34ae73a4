"""Ids that last, as an independent observer hears them over DDS."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('lap', reason='lap is missing: requirements/base.txt')

from harness import HEIGHT, NAME, WIDTH, Peer, RunningNode, active_node, all_things, photo_message
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from semantic_fast_sam_ros.core.objects.track_ids import LAST_TRACK

CAMERA = '/cam/image_raw'
PERIOD_NS = 50_000_000


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give the node with tracking, shared by the module; every class is one of things."""
    with active_node(
        *('-r', f'image:={CAMERA}'), tracking='bytetrack', vocabulary=all_things()
    ) as running:
        yield running


class Rig:
    """A camera and an observer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._camera = peer.camera(CAMERA)
        self._detections = peer.collect(Detection2DArray, f'{NAME}/detections')
        self._instances = peer.collect(Image, f'{NAME}/instances')

    def shoot(self, stamp_ns: int) -> tuple[Detection2DArray, np.ndarray]:
        """Send the photo with a stamp; return the detections and the instance image."""
        sent = photo_message()
        sent.header.stamp.sec, sent.header.stamp.nanosec = divmod(stamp_ns, 10**9)

        def answer() -> Any:
            boxes = [m for m in self._detections if m.header == sent.header]
            masks = [m for m in self._instances if m.header == sent.header]
            return boxes and masks and (boxes[0], masks[0])

        boxes, masks = self._peer.feed(self._camera, sent, answer)
        return boxes, np.frombuffer(masks.data, np.uint16).reshape(HEIGHT, WIDTH)


def lasting(detections: Detection2DArray) -> set[int]:
    return {int(d.id) for d in detections.detections if int(d.id) <= LAST_TRACK}


def test_things_keep_their_ids_and_after_a_pause_have_new_ones(
    running: RunningNode, peer: Peer
) -> None:
    rig, start_ns = Rig(peer), 1_700_000_000 * 10**9
    rig.shoot(start_ns - PERIOD_NS)
    first, masks = rig.shoot(start_ns)
    ids = lasting(first)
    assert ids, [(d.id, d.results[0].hypothesis.class_id) for d in first.detections if d.results]
    assert set(np.unique(masks)) - {0} <= {int(d.id) for d in first.detections}
    for step in range(1, 4):
        assert lasting(rig.shoot(start_ns + step * PERIOD_NS)[0]) >= ids
    assert not lasting(rig.shoot(start_ns + 60 * 10**9)[0]), 'seen once'
    later = lasting(rig.shoot(start_ns + 60 * 10**9 + PERIOD_NS)[0])
    assert later and not later & ids


def test_ids_are_not_used_again_after_the_node_was_configured_anew(
    running: RunningNode, peer: Peer
) -> None:
    from lifecycle_msgs.msg import Transition

    rig, start_ns = Rig(peer), 1_700_001_000 * 10**9
    rig.shoot(start_ns - PERIOD_NS)
    before = lasting(rig.shoot(start_ns)[0])
    for transition in ('DEACTIVATE', 'CLEANUP', 'CONFIGURE', 'ACTIVATE'):
        assert peer.change(getattr(Transition, f'TRANSITION_{transition}')), transition
    rig.shoot(start_ns + PERIOD_NS)
    after = lasting(rig.shoot(start_ns + 2 * PERIOD_NS)[0])
    assert after and min(after) > max(before)
