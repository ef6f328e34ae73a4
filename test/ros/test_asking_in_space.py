"""Where things stand that are asked for in words: ~/query/detections_3d, heard over DDS."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from boxes_rig import CAMERA, DEPTH, DISTANCE, Rig, beside, wall
from harness import (
    NAME,
    RELIABLE,
    Diagnosis,
    Peer,
    RunningNode,
    active_node,
    photo_message,
    until,
)
from std_msgs.msg import String
from tiny_clip import write_clip
from vision_msgs.msg import Detection2DArray, Detection3DArray


@pytest.fixture(scope='module')
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Give the node with a tiny CLIP that knows stuff only, every mask an answer."""
    clip = write_clip(tmp_path_factory.mktemp('models') / 'clip')
    with active_node(
        *('-r', f'image:={CAMERA}', '-r', f'depth/image:={DEPTH}'),
        labeller='clip',
        clip__model=str(clip),
        vocabulary='classes: [{name: road, thing: false}, {name: sky, thing: false}]',
        masks__confidence=0.05,
        query__threshold=0.0,
        objects__boxes_3d=True,
        rest_without_subscribers=True,
    ) as running:
        yield running


def ask(peer: Peer, diagnosis: Diagnosis, text: str) -> None:
    """Publish a query; wait until the node looks for it."""
    sender = peer.node.create_publisher(String, f'{NAME}/query', RELIABLE)
    until(sender.get_subscription_count, 'the node listens to queries')
    sender.publish(String(data=text))
    until(lambda: diagnosis.value('query') == text, f'the node looks for {text!r}')


def test_answers_have_a_box_where_depth_is_whatever_their_class(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    rig = Rig(peer)
    flat = peer.collect(Detection2DArray, f'{NAME}/query/detections')
    deep = peer.collect(Detection3DArray, f'{NAME}/query/detections_3d')
    ask(peer, diagnosis, 'lamp, dog')
    sent = photo_message(41)
    depth = wall()
    depth[:, : depth.shape[1] // 3] = np.nan  # nothing was measured on the left

    def answered() -> Any:
        rig.send(sent, beside(sent, depth))
        of_it = [[m for m in inbox if m.header == sent.header] for inbox in (flat, deep)]
        return all(of_it) and [messages[-1] for messages in of_it]

    answers, boxes = until(answered, 'answers in space')
    told = {
        d.id: [(r.hypothesis.class_id, r.hypothesis.score) for r in d.results]
        for d in answers.detections
    }
    ids = [d.id for d in boxes.detections]
    assert ids and len(ids) < len(told), 'without depth none has a box'
    assert ids == [i for i in told if i in ids], 'likeliest first'
    for detection in boxes.detections:
        words = [(r.hypothesis.class_id, r.hypothesis.score) for r in detection.results]
        assert words == told[detection.id]
        assert {word for word, _ in words} == {'lamp', 'dog'}
        assert detection.bbox.center.position.z == pytest.approx(DISTANCE, rel=0.02)
    things = [m for m in rig.boxes if m.header == sent.header]
    assert things and not things[-1].detections, 'the vocabulary has no things'


def test_nothing_comes_while_nothing_is_asked_for(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    rig = Rig(peer)
    deep = peer.collect(Detection3DArray, f'{NAME}/query/detections_3d')
    ask(peer, diagnosis, '')
    sent = photo_message(42)
    rig.look(sent, beside(sent, wall()))
    assert not [m for m in deep if m.header == sent.header]
