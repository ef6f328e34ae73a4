"""MCAP files as other recorders write them, and with lengths that are not true."""

import struct

import pytest
from mcap.writer import CompressionType, IndexType, Writer

from semantic_fast_sam_ros.bags import mcap_reader
from semantic_fast_sam_ros.bags.mcap_reader import McapReader
from semantic_fast_sam_ros.bags.reader import all_topics
from semantic_fast_sam_ros.bags.types import MAXIMUM_NS

COUNT = 40


def _write(path, **options):
    """Write messages in no order of time on two channels, the second one seldom."""
    with path.open('wb') as stream:
        writer = Writer(stream, chunk_size=1000, **options)
        writer.start('ros2')
        schema = writer.register_schema('std_msgs/msg/String', 'ros2msg', b'string data')
        channels = [writer.register_channel(name, 'cdr', schema) for name in ('/a', '/b')]
        for i in range(COUNT):
            time_ns = 10 + (i * 7) % COUNT
            channel = channels[i % 10 == 0]
            writer.add_message(channel, time_ns, b'%03d' % time_ns * 30, time_ns, i)
        writer.finish()
    return path


def _times(reader):
    return [m.time_ns for m in reader.messages(all_topics, 0, MAXIMUM_NS)]


@pytest.mark.parametrize(
    'options',
    [
        {'use_chunking': False},  # rosbag2's preset `fastwrite`
        {'use_chunking': False, 'index_types': IndexType.NONE, 'use_statistics': False},
        {'index_types': IndexType.NONE},
        {'index_types': IndexType.CHUNK, 'use_statistics': False},
        {'repeat_channels': False, 'repeat_schemas': False},
        {'enable_crcs': False, 'use_summary_offsets': False},
    ],
    ids=str,
)
def test_every_form_that_the_format_allows_is_read_in_order_of_time(
    tmp_path, monkeypatch, options
):
    monkeypatch.setattr(mcap_reader, 'PLAIN_BYTES', 500)  # several runs
    reader = McapReader(_write(tmp_path / 'a.mcap', **options))
    assert _times(reader) == list(range(10, 10 + COUNT))
    assert reader.losses == []
    assert {topic.name for topic in reader.topics.values()} == {'/a', '/b'}
    assert reader.extent_ns == (10, 9 + COUNT)
    seldom = reader.messages(lambda topic: topic.name == '/b', 0, MAXIMUM_NS)
    assert len(list(seldom)) == COUNT // 10
    reader.close()


@pytest.mark.parametrize('field', ['record length', 'uncompressed size', 'data length'])
@pytest.mark.parametrize('claimed', [2**33, 2**50, 2**64 - 1])
def test_untrue_lengths_cost_their_chunk_and_no_memory(tmp_path, field, claimed):
    path = _write(tmp_path / 'a.mcap', compression=CompressionType.ZSTD)
    whole = McapReader(path)
    second, last = whole.blocks[1], whole.blocks[-1]
    whole.close()
    data = bytearray(path.read_bytes())
    place = {'record length': 1, 'uncompressed size': 9 + 16, 'data length': 9 + 36}[field]
    struct.pack_into('<Q', data, second.offset + place, claimed)
    path.write_bytes(data)
    reader = McapReader(path)
    lost = COUNT - len(_times(reader))
    assert lost == sum(loss.messages for loss in reader.losses), 'what is missing is told'
    if (
        field == 'record length'
    ):  # else what is there has its own length, and its checksum is right
        assert lost == second.messages
    path.write_bytes(data[: last.offset + 20])  # the same without an index
    reader = McapReader(path)
    assert 0 < len(_times(reader)) <= COUNT - last.messages
    assert 'cut off' in reader.losses[-1].reason
