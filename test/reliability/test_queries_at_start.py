"""Queries that were asked before the node came, and nodes that can answer none."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from harness import LATCHED, NAME, Diagnosis, Peer, RunningNode, photo_message, until
from sensor_msgs.msg import Image
from std_msgs.msg import String
from tiny_clip import write_clip
from vision_msgs.msg import Detection2DArray

Starter = Callable[..., RunningNode]
QUERY = f'{NAME}/query'


def test_what_a_latching_sender_asked_before_the_node_came_is_heard(
    start: Starter, peer: Peer, diagnosis: Diagnosis, tmp_path: Path
) -> None:
    sender = peer.node.create_publisher(String, QUERY, LATCHED)
    sender.publish(String(data='dog'))
    start(labeller='clip', clip__model=str(write_clip(tmp_path / 'clip')), vocabulary='road')
    until(lambda: diagnosis.value('query') == 'dog', 'the query from before')
    sender.publish(String(data='cat'))
    until(lambda: diagnosis.value('query') == 'cat', 'the next query')
    assert diagnosis.value('queries_received') == '2'


def test_one_query_counts_for_all_cameras(
    start: Starter, peer: Peer, diagnosis: Diagnosis, tmp_path: Path
) -> None:
    clip = str(write_clip(tmp_path / 'clip'))
    start(labeller='clip', clip__model=clip, vocabulary='road', cameras='front, left')
    peer.wait_active()
    sender = peer.node.create_publisher(String, QUERY, 10)
    until(sender.get_subscription_count, 'the node listens to queries')
    sender.publish(String(data='dog'))
    until(lambda: diagnosis.value('query') == 'dog', 'the query')
    for camera in ('front', 'left'):
        answers = peer.collect(Detection2DArray, f'{NAME}/{camera}/query/detections')
        peer.feed(peer.camera(f'/{camera}/image'), photo_message(), answers.copy)


def test_a_labeller_without_vectors_says_so_and_labels(
    start: Starter, peer: Peer, diagnosis: Diagnosis
) -> None:
    running = start(rest_without_subscribers=True)
    peer.wait_active()
    features = peer.collect(Image, f'{NAME}/features')
    diagnosis.until_message('nothing comes on features', "'closed_set' has no vectors")
    idle = running.counts.idle
    peer.feed(peer.camera(), photo_message(1), lambda: running.counts.idle > idle)
    sender = peer.node.create_publisher(String, QUERY, 10)
    until(sender.get_subscription_count, 'the node listens to queries')
    sender.publish(String(data='dog'))
    diagnosis.until_message('query refused', "'closed_set' has no vectors", 'hybrid')
    labels, sent = peer.collect(Image, f'{NAME}/label_image'), photo_message(2)
    peer.feed(peer.camera(), sent, lambda: [m for m in labels if m.header == sent.header])
    assert not features


@pytest.mark.parametrize(
    ('settings', 'reason'),
    [
        ({'tracking': 'off'}, 'set tracking to bytetrack'),
        ({'tracking': 'bytetrack'}, "'closed_set' has no vectors"),
    ],
    ids=['no tracks', 'no vectors'],
)
def test_a_memory_of_nothing_fails_to_configure_with_the_reason(
    start: Starter, diagnosis: Diagnosis, settings: dict[str, object], reason: str
) -> None:
    start(memory__keep_s=5.0, **settings)
    diagnosis.until_message('cannot configure', 'memory.keep_s', reason)
