"""Found by words: what an independent observer hears of features, queries and their answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from harness import (
    LATCHED,
    NAME,
    RELIABLE,
    Diagnosis,
    Peer,
    RunningNode,
    active_node,
    photo_message,
    until,
)
from numpy.typing import NDArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from tiny_clip import MODEL, write_clip
from vision_msgs.msg import Detection2DArray

from semantic_fast_sam_ros.core.networks import checksums

HEIGHT, WIDTH = 240, 320
SENDERS = {'latched': LATCHED, 'not latched': RELIABLE}


@pytest.fixture(scope='module')
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny CLIP."""
    return write_clip(tmp_path_factory.mktemp('models') / 'clip')


@pytest.fixture(scope='module')
def running(clip: Path) -> Iterator[RunningNode]:
    """Give the node with it, active, every mask an answer, for the module."""
    with active_node(
        labeller='clip',
        clip__model=str(clip),
        vocabulary='road, car | vehicle, tree',
        masks__confidence=0.05,
        query__threshold=0.0,
        rest_without_subscribers=True,
    ) as running:
        yield running


class Rig:
    """A camera, somebody who asks, and somebody who takes the answers."""

    def __init__(self, peer: Peer, *topics: str) -> None:
        kinds = {'detections': Detection2DArray, 'query/detections': Detection2DArray}
        self.peer = peer
        self.inboxes = {
            topic: peer.collect(kinds.get(topic, Image), f'{NAME}/{topic}') for topic in topics
        }
        self.camera = peer.camera()
        self._number = 0

    def ask(self, text: str, profile: QoSProfile = RELIABLE) -> None:
        """Publish a query once the node listens."""
        sender = self.peer.node.create_publisher(String, f'{NAME}/query', profile)
        until(sender.get_subscription_count, 'the node listens to queries')
        sender.publish(String(data=text))

    def shoot(self) -> dict[str, Any]:
        """Send one image; return the message of each topic that is of it."""
        self._number += 1
        sent = photo_message(self._number, HEIGHT, WIDTH)

        def answers() -> dict[str, Any] | None:
            found = {t: [m for m in b if m.header == sent.header] for t, b in self.inboxes.items()}
            return {t: m[0] for t, m in found.items()} if all(found.values()) else None

        return self.peer.feed(self.camera, sent, answers)


def until_looking_for(diagnosis: Diagnosis, text: str) -> None:
    until(lambda: diagnosis.value('query') == text, f'the node looks for {text!r}')


def rows(message: Image) -> NDArray[np.float32]:
    """Return a 32FC1 image as its consumers read it."""
    assert (message.encoding, message.is_bigendian) == ('32FC1', 0)
    assert message.step == 4 * message.width and len(message.data) == message.step * message.height
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def test_features_are_a_unit_vector_for_each_detection(running: RunningNode, peer: Peer) -> None:
    found = Rig(peer, 'features', 'detections').shoot()
    features, detections = rows(found['features']), found['detections'].detections
    assert features.shape == (len(detections), MODEL['embed_dim']) and len(features) > 1
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert found['features'].header == found['detections'].header


def test_the_space_of_the_features_is_told_to_late_subscribers(
    running: RunningNode, peer: Peer, clip: Path
) -> None:
    Rig(peer, 'features').shoot()
    told = peer.collect(String, f'{NAME}/features/space', LATCHED)
    until(lambda: told, 'the space')
    space = json.loads(told[0].data)
    assert (space['model'], space['dimension']) == (str(clip), MODEL['embed_dim'])
    assert space['sha256'] == checksums.content(clip)
    assert space['scale'] > 0 and all('{}' in template for template in space['templates'])


@pytest.mark.parametrize('profile', SENDERS.values(), ids=SENDERS)
def test_answers_rank_the_masks_by_falling_scores(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis, profile: QoSProfile
) -> None:
    rig = Rig(peer, 'query/detections', 'query/heat', 'instances')
    rig.ask('lamp | lantern, dog', profile)
    until_looking_for(diagnosis, 'lamp | lantern, dog')
    found = rig.shoot()
    answers = found['query/detections'].detections
    scores = [[r.hypothesis.score for r in answer.results] for answer in answers]
    assert len(answers) > 1 and all(s == sorted(s, reverse=True) for s in scores)
    best = [s[0] for s in scores]
    assert best == sorted(best, reverse=True) and all(0 <= score <= 1 for score in best)
    names = [{r.hypothesis.class_id for r in answer.results} for answer in answers]
    assert all(these == {'lamp', 'dog'} for these in names)
    instances = np.frombuffer(found['instances'].data, np.uint16).reshape(HEIGHT, WIDTH)
    heat = found['query/heat']
    assert (heat.encoding, heat.height, heat.width) == ('mono8', HEIGHT, WIDTH)
    levels = np.frombuffer(heat.data, np.uint8).reshape(HEIGHT, WIDTH)
    for answer, score in zip(answers, best, strict=True):
        assert set(np.unique(levels[instances == int(answer.id)])) <= {round(255 * score)}
    assert not levels[instances == 0].any()


def test_no_mask_below_the_threshold_is_an_answer_and_the_list_comes_empty(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    rig = Rig(peer, 'query/detections')
    rig.ask('dog')
    until_looking_for(diagnosis, 'dog')
    assert rig.shoot()['query/detections'].detections
    assert peer.set('query.threshold', 1.0).successful
    until(lambda: not rig.shoot()['query/detections'].detections, 'an empty list')
    assert peer.set('query.threshold', 0.0).successful


def test_an_empty_query_ends_the_answers_and_the_labels_go_on(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    answers = peer.collect(Detection2DArray, f'{NAME}/query/detections')
    rig = Rig(peer, 'detections')
    rig.ask('dog')
    until_looking_for(diagnosis, 'dog')
    rig.shoot()
    until(lambda: answers, 'answers')
    rig.ask('')
    until_looking_for(diagnosis, '')
    rig.shoot()
    before = len(answers)
    for _ in range(3):
        rig.shoot()
    assert len(answers) == before


def test_a_query_leaves_the_published_vocabulary_as_it_is(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    rig = Rig(peer, 'detections', 'query/detections')
    rig.ask('zebra')
    until_looking_for(diagnosis, 'zebra')
    told = rig.shoot()['detections'].detections
    names = {r.hypothesis.class_id for detection in told for r in detection.results}
    assert names and names <= {'road', 'car', 'tree'}
    assert running.pipeline.vocabulary.names == ('road', 'car', 'tree')


def test_what_is_looked_for_stands_when_the_vocabulary_changes(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    rig = Rig(peer, 'query/detections', 'query/heat')
    rig.ask('road')
    until_looking_for(diagnosis, 'road')
    rivals = running.node._queries.current.rivals.shape[1]
    assert peer.set('vocabulary', 'road, car | vehicle, tree, dog').successful
    until(lambda: running.node._queries.current.rivals.shape[1] == rivals + 1, 'a rival more')
    rig.shoot()
    assert peer.set('vocabulary', 'road, car | vehicle, tree').successful
    until(lambda: running.node._queries.current.rivals.shape[1] == rivals, 'the names of before')


def test_topics_without_a_query_cost_nothing(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    rig = Rig(peer)
    rig.ask('')
    until_looking_for(diagnosis, '')
    peer.collect(Detection2DArray, f'{NAME}/query/detections')
    peer.collect(Image, f'{NAME}/query/heat')
    idle = running.counts.idle
    peer.feed(rig.camera, photo_message(1, HEIGHT, WIDTH), lambda: running.counts.idle > idle + 1)
