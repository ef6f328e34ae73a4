"""Queries that nobody should send: told, and nothing else is lost for them."""

import time
from collections.abc import Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from harness import (
    BEST_EFFORT,
    NAME,
    Diagnosis,
    Peer,
    RunningNode,
    active_node,
    photo_message,
    until,
)
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Int32, String
from tiny_clip import write_clip

QUERY = f'{NAME}/query'


@pytest.fixture(scope='module', name='running')
def _running(
    tiny_models: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningNode]:
    """Give a node with a tiny CLIP, for the module."""
    settings = {name.replace('.', '__'): value for name, value in tiny_models.items()}
    clip = write_clip(tmp_path_factory.mktemp('odd') / 'clip')
    with active_node(
        **settings, labeller='clip', clip__model=str(clip), vocabulary='road, car'
    ) as running:
        yield running


def asker(peer: Peer) -> Publisher:
    sender = peer.node.create_publisher(String, QUERY, 10)
    until(lambda: sender.get_subscription_count() >= 1, 'the node listens to queries')
    return sender


def require_labels(peer: Peer, number: int) -> None:
    """Send an image; wait for its labels."""
    labels, sent = peer.collect(Image, f'{NAME}/label_image'), photo_message(number)
    peer.feed(peer.camera(), sent, lambda: [m for m in labels if m.header == sent.header])


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('x' * 10_000, 'at most 1000 characters'),
        ('mug\x07', "control character '\\x07'"),
        ('mug,,', 'empty name'),
    ],
    ids=['long', 'control', 'empty'],
)
def test_a_bad_query_is_told_and_the_one_before_stands(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis, text: str, reason: str
) -> None:
    sender = asker(peer)
    sender.publish(String(data='dog'))
    until(lambda: diagnosis.value('query') == 'dog', 'a good query')
    refused = int(diagnosis.value('queries_refused'))
    sender.publish(String(data=text))
    diagnosis.until_message('query refused', reason)
    assert int(diagnosis.value('queries_refused')) == refused + 1
    assert diagnosis.value('query') == 'dog'
    require_labels(peer, 5)
    sender.publish(String(data='cat'))
    until(lambda: diagnosis.value('query') == 'cat', 'another good query')
    until(lambda: 'query refused' not in diagnosis.status.message, 'the refusal forgotten')


def test_queries_at_a_thousand_hertz_end_with_the_last_and_images_go_on(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    sender, camera, before = asker(peer), peer.camera(), running.counts
    for number in range(1000):
        sender.publish(String(data=f'thing {number}'))
        if number % 100 == 0:
            camera.publish(photo_message(number))
        time.sleep(0.0005)  # as a sender at a rate does
    require_labels(peer, 7)
    until(lambda: diagnosis.value('query') == 'thing 999', 'the last query')
    assert int(diagnosis.value('queries_passed_over')) > 0
    assert running.counts.processed > before.processed + 1
    assert (running.counts.failed, running.counts.refused) == (before.failed, before.refused)
    sender.publish(String(data=''))
    until(lambda: diagnosis.value('query') == '', 'the end of it')


def test_a_sender_that_is_not_heard_is_named(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    lossy = peer.node.create_publisher(String, QUERY, BEST_EFFORT)
    diagnosis.until_message(QUERY, 'publish it as std_msgs/msg/String, reliable')
    peer.node.destroy_publisher(lossy)
    mistaken = Peer('mistaken')
    mistaken.node.create_publisher(Int32, QUERY, 10)
    diagnosis.until_message('Int32', 'publish it as std_msgs/msg/String, reliable')
    mistaken.close()
