"""A damaged recording is labelled as far as it can be read, and what is lost is told."""

import sqlite3

import pytest

from semantic_fast_sam_ros.bags.reader import BagReader, all_topics

from .fakes import label
from .recordings import PERIOD_NS, START_NS, camera_bag
from .test_labelling import label_maps

COUNT = 600  # several chunks of a megabyte


def _frames(folder):
    return [(time - START_NS) // PERIOD_NS for time, _ in label_maps(folder)]


def _cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize('compression', ['none', 'storage'])
def test_truncated_mcap_is_labelled_up_to_the_cut(tmp_path, compression):
    bag = camera_bag(tmp_path / 'bag', COUNT, compression=compression)
    _cut(bag / 'bag.mcap', 0.7)
    outcome = label(bag, tmp_path / 'out')
    frames = _frames(tmp_path / 'out')
    assert frames == list(range(len(frames))), 'all up to the cut, none twice'
    assert 0.4 * COUNT < len(frames) < 0.7 * COUNT
    assert 'cut off at byte' in outcome.losses[0].reason
    assert outcome.complete


def test_damaged_chunk_costs_only_its_own_messages(tmp_path):
    bag = camera_bag(tmp_path / 'bag', COUNT, compression='storage')
    path = bag / 'bag.mcap'
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    outcome = label(bag, tmp_path / 'out')
    frames = _frames(tmp_path / 'out')
    missing = sorted(set(range(COUNT)) - set(frames))
    assert len(set(frames)) == len(frames)
    assert 0 < len(missing) < COUNT // 3
    assert missing == list(range(missing[0], missing[-1] + 1)), 'one stretch'
    (loss,) = outcome.losses
    assert loss.messages == len(missing), 'the index tells how many'
    assert f'{len(missing)} messages' in str(loss)


def test_truncated_sqlite_is_labelled_up_to_the_cut(tmp_path):
    bag = camera_bag(tmp_path / 'bag', COUNT, storage='sqlite3')
    _cut(bag / 'bag.db3', 0.7)
    outcome = label(bag, tmp_path / 'out')
    frames = _frames(tmp_path / 'out')
    assert frames == list(range(len(frames)))
    assert 0.5 * COUNT < len(frames) < COUNT
    assert any('damaged' in loss.reason for loss in outcome.losses)


def test_damaged_sqlite_page_costs_only_its_own_messages(tmp_path):
    bag = camera_bag(tmp_path / 'bag', COUNT, storage='sqlite3')
    data = bytearray((bag / 'bag.db3').read_bytes())
    page = 4096
    base = sqlite3.connect(bag / 'bag.db3')
    assert base.execute('PRAGMA page_size').fetchone() == (page,)
    base.close()
    start = len(data) // 2 // page * page
    data[start : start + 3 * page] = b'\xff' * (3 * page)
    (bag / 'bag.db3').write_bytes(data)
    outcome = label(bag, tmp_path / 'out')
    frames = _frames(tmp_path / 'out')
    assert len(set(frames)) == len(frames)
    lost = COUNT - len(frames)
    assert 0 <= lost < COUNT // 10
    assert lost == 0 or outcome.losses


def test_write_ahead_log_of_a_killed_recorder_is_read(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 5, storage='sqlite3')
    base = sqlite3.connect(bag / 'bag.db3')
    base.execute('PRAGMA journal_mode=WAL')
    topic, data = base.execute('SELECT topic_id, data FROM messages LIMIT 1').fetchone()
    query = 'INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)'
    base.execute(query, (topic, START_NS + 99 * PERIOD_NS, data))
    base.commit()
    assert (bag / 'bag.db3-wal').stat().st_size > 0
    times = [m.time_ns for m in BagReader(bag).messages(all_topics)]
    assert len(times) == 6 and times[-1] == START_NS + 99 * PERIOD_NS
    base.close()


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_truncated_compressed_file_is_read_up_to_the_cut(tmp_path, storage):
    bag = camera_bag(tmp_path / 'bag', COUNT, storage=storage, compression='file')
    _cut(next(bag.glob('*.zstd')), 0.6)
    outcome = label(bag, tmp_path / 'out')
    frames = _frames(tmp_path / 'out')
    assert frames == list(range(len(frames)))
    assert len(frames) > COUNT // 4
    assert any('compressed file is damaged' in loss.reason for loss in outcome.losses)


def test_missing_part_of_a_split_recording_is_told(tmp_path):
    import yaml

    bag = camera_bag(tmp_path / 'bag', 5)
    content = yaml.safe_load((bag / 'metadata.yaml').read_text())
    body = content['rosbag2_bagfile_information']
    body['relative_file_paths'].append('bag_1.mcap')
    body['files'].append({'path': 'bag_1.mcap', 'message_count': 17})
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(content))
    outcome = label(bag, tmp_path / 'out')
    assert _frames(tmp_path / 'out') == list(range(5))
    assert [(loss.file, loss.reason, loss.messages) for loss in outcome.losses] == [
        ('bag_1.mcap', 'missing', 17)
    ]


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('rosbag2_bagfile_information: [', 'while parsing'),
        ('rosbag2_bagfile_information: 3', 'it has no rosbag2_bagfile_information'),
        ('- a list', 'it has no rosbag2_bagfile_information'),
        ('', 'it is empty'),
    ],
)
def test_unreadable_metadata_is_told_and_the_files_are_read(text, said, tmp_path):
    bag = camera_bag(tmp_path / 'bag', 5)
    (bag / 'metadata.yaml').write_text(text)
    outcome = label(bag, tmp_path / 'out')
    assert _frames(tmp_path / 'out') == list(range(5))
    assert outcome.losses[0].file == 'metadata.yaml'
    assert outcome.losses[0].reason.startswith(f'unreadable: {said}')
