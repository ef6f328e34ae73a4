"""Other topics are copied as they are; QoS that nobody can read is left out, and told."""

import sqlite3

import pytest
import yaml
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.types import Message, Topic
from semantic_fast_sam_ros.bags.writer import BagWriter

from .fakes import label
from .recordings import START_NS, STORE, camera, text_message, write_bag

GOOD = yaml.safe_load(
    """
- history: 1
  depth: 10
  reliability: 1
  durability: 2
  deadline: {sec: 0, nsec: 0}
  lifespan: {sec: 0, nsec: 0}
  liveliness: 1
  liveliness_lease_duration: {sec: 0, nsec: 0}
  avoid_ros_namespace_conventions: false
"""
)
ODD = {
    'a map': yaml.safe_dump(GOOD[0]),
    'missing keys': '- history: 1\n  depth: 5\n',
    'null': 'null',
    'a list of null': '- null',
    'garbage': '{[:',
    'a number': '7',
    'words': '- as\n- you\n- like',
    'a depth that is none': yaml.safe_dump([{**GOOD[0], 'depth': 'much'}]),
    'a time that is none': yaml.safe_dump([{**GOOD[0], 'deadline': None}]),
}


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('name', ODD)
def test_odd_qos_is_left_out_and_told(tmp_path, storage, name):
    messages = [*camera(2), *(('/chat', START_NS + i, text_message(str(i))) for i in range(5))]
    bag = write_bag(tmp_path / 'bag', sorted(messages, key=lambda m: m[1]), 'sqlite3')
    base = sqlite3.connect(bag / 'bag.db3')
    with base:
        base.execute(
            'UPDATE topics SET offered_qos_profiles = ? WHERE name = ?', (ODD[name], '/chat')
        )
    base.close()
    outcome = label(bag, tmp_path / 'out', Job(copy=('/chat',), storage=storage))
    assert outcome.complete and outcome.statistics.copied == 5
    assert any('/chat' in note and 'QoS' in note for note in outcome.notes)
    with Reader(tmp_path / 'out') as reader:
        found = [(t, bytes(d)) for c, t, d in reader.messages() if c.topic == '/chat']
        (chat,) = [c for c in reader.connections if c.topic == '/chat']
    assert [STORE.deserialize_cdr(d, chat.msgtype).data for _, d in found] == list('01234')
    assert chat.ext.offered_qos_profiles == []


def test_qos_of_every_release_is_kept(tmp_path):
    words = [{**GOOD[0], 'history': 'keep_last', 'reliability': 'best_effort'}]
    writer = BagWriter(tmp_path / 'bag')
    for i, qos in enumerate((yaml.safe_dump(GOOD), yaml.safe_dump(words), '')):
        topic = Topic(f'/t{i}', 'std_msgs/msg/String', qos=qos)
        data = bytes(STORE.serialize_cdr(text_message('x'), 'std_msgs/msg/String'))
        writer.write(Message(topic, START_NS + i, data), i + 1)
    writer.close()
    # No camera in it: the copies go into the bag of one.
    cameras = write_bag(tmp_path / 'cameras', camera(2))
    (tmp_path / 'bag' / 'bag_0.mcap').rename(cameras / 'cameras_1.mcap')
    outcome = label(cameras, tmp_path / 'out', Job(copy=('/t*',)))
    assert not any('QoS' in note for note in outcome.notes)
    with Reader(tmp_path / 'out') as reader:
        found = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    assert [p.reliability.name for p in found['/t0']] == ['RELIABLE']
    assert [p.reliability.name for p in found['/t1']] == ['BEST_EFFORT']
    assert found['/t2'] == []


def test_what_is_not_cdr_is_copied_as_it_is(tmp_path):
    schema = b'\x0a\xff\xfe binary'  # protobuf's description of a type is no text
    topic = Topic(
        '/plot',
        'foxglove.Log',
        schema.decode(errors='surrogateescape'),
        'protobuf',
        '',
        '',
        'protobuf',
    )
    writer = BagWriter(tmp_path / 'bag')
    writer.write(Message(topic, START_NS, b'\x0a\x01a'), 1)
    writer.close()
    cameras = write_bag(tmp_path / 'cameras', camera(2))
    (tmp_path / 'bag' / 'bag_0.mcap').rename(cameras / 'cameras_1.mcap')
    label(cameras, tmp_path / 'out', Job(copy=('*',)))
    with (tmp_path / 'out' / 'out_0.mcap').open('rb') as stream:
        found = {c.topic: (s, c, m) for s, c, m in make_reader(stream).iter_messages()}
    kind, channel, message = found['/plot']
    assert (kind.data, kind.encoding, channel.message_encoding) == (schema, 'protobuf', 'protobuf')
    assert message.data == b'\x0a\x01a'
