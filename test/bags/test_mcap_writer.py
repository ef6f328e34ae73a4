"""An MCAP file that was not closed is gone on with, wherever it ends."""

import pytest

from semantic_fast_sam_ros.bags.mcap_writer import McapWriter
from semantic_fast_sam_ros.bags.reader import BagReader, all_topics

from .recordings import camera_bag


def test_unclosed_mcap_goes_on_after_its_last_whole_chunk(tmp_path):
    messages = list(BagReader(camera_bag(tmp_path / 'bag', 9)).messages(all_topics))
    path = tmp_path / 'out.mcap'
    writer = McapWriter(path)
    for number, message in enumerate(messages[:6], 1):
        writer.write(message, number)
        if number in (2, 4):
            writer.flush()
    again, replayed = McapWriter(path), []
    again.recover(replayed.append)
    assert replayed == messages[:4]
    assert again.cursor == 4
    for number, message in enumerate(messages[4:], 5):
        again.write(message, number)
    again.close()
    assert [m.data for m in BagReader(path).messages(all_topics)] == [m.data for m in messages]


@pytest.mark.parametrize('compression', ['', 'zstd', 'lz4'])
def test_a_file_cut_off_anywhere_is_completed_to_the_same_bytes(tmp_path, compression):
    messages = list(BagReader(camera_bag(tmp_path / 'bag', 6)).messages(all_topics))

    def write(writer, done=0):
        for number, message in enumerate(messages[done:], done + 1):
            writer.write(message, number)
            writer.flush()
        writer.close('version: 8')

    path = tmp_path / 'whole.mcap'
    write(McapWriter(path, compression))
    whole = path.read_bytes()
    done = []
    for cut in range(60, len(whole), 997):
        path.write_bytes(whole[:cut] + bytes(5000))  # room that was set aside
        again, replayed = McapWriter(path, compression), []
        again.recover(replayed.append)
        assert len(replayed) == again.cursor == again.message_count
        done.append(again.cursor)
        write(again, again.cursor)
        assert path.read_bytes() == whole, f'cut at {cut}'
    assert done == sorted(done) and set(done) == set(range(7))


def test_a_closed_file_is_gone_on_with_at_its_index(tmp_path):
    messages = list(BagReader(camera_bag(tmp_path / 'bag', 6)).messages(all_topics))
    path = tmp_path / 'out.mcap'
    writer = McapWriter(path)
    for message in messages[:4]:
        writer.write(message, 1)
    writer.close('version: 8')
    again, replayed = McapWriter(path), []
    again.recover(replayed.append)
    assert replayed == messages[:4]
    again.write(messages[4], 5)
    again.close()
    assert [m.data for m in BagReader(path).messages(all_topics)] == [m.data for m in messages[:5]]


def test_recovering_ends_before_a_damaged_chunk(tmp_path):
    messages = list(BagReader(camera_bag(tmp_path / 'bag', 6)).messages(all_topics))
    path = tmp_path / 'out.mcap'
    writer = McapWriter(path, '')
    for number, message in enumerate(messages, 1):
        writer.write(message, number)
        writer.flush()
    data = bytearray(path.read_bytes())
    at = data.index(messages[3].data)
    data[at + 200] ^= 255
    path.write_bytes(data)
    again, replayed = McapWriter(path, ''), []
    again.recover(replayed.append)
    assert replayed == messages[:3] and again.cursor == 3
