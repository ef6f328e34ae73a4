"""Recordings of every storage and compression are read as the rosbags library reads them."""

import pytest
import yaml
from rosbags.rosbag2 import Reader

from semantic_fast_sam_ros.bags.reader import BagReader, all_topics
from semantic_fast_sam_ros.bags.writer import BagWriter
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.tools.label_bag import find_recordings

from .recordings import (
    PERIOD_NS,
    START_NS,
    camera,
    camera_bag,
    header,
    text_message,
    write_bag,
)

KINDS = [
    ('mcap', 'none'),
    ('mcap', 'storage'),
    ('mcap', 'message'),
    ('mcap', 'file'),
    ('sqlite3', 'none'),
    ('sqlite3', 'message'),
    ('sqlite3', 'file'),
]


def _ours(path):
    reader = BagReader(path)
    found = [(m.topic.name, m.time_ns, m.data) for m in reader.messages(all_topics)]
    assert reader.losses == []
    return found


def _theirs(path):
    with Reader(path) as reader:
        return [(c.topic, time_ns, bytes(data)) for c, time_ns, data in reader.messages()]


def _mixed(count):
    texts = [('/chat', START_NS + i * 70_000_000, text_message(str(i))) for i in range(count)]
    return sorted(camera(count) + texts, key=lambda entry: entry[1])


@pytest.mark.parametrize('version', [8, 9])
@pytest.mark.parametrize(('storage', 'compression'), KINDS)
def test_reads_what_rosbags_reads(tmp_path, storage, compression, version):
    bag = write_bag(tmp_path / 'bag', _mixed(300), storage, compression, version)
    assert len(_ours(bag)) == 600
    assert _ours(bag) == _theirs(bag)


@pytest.mark.parametrize('compression', ['zstd', 'lz4', ''])
def test_reads_overlapping_chunks_in_order_of_time(tmp_path, compression):
    times = [START_NS + (i * 7919) % 1000 for i in range(1000)]
    messages = _ours_of(tmp_path, times)
    writer = BagWriter(tmp_path / 'bag', 'mcap', compression)
    for number, message in enumerate(messages, 1):
        writer.write(message, number)
        if number % 50 == 0:
            writer.storage.flush()
    writer.close()
    found = _ours(tmp_path / 'bag')
    assert [time for _, time, _ in found] == sorted(times)
    assert found == _theirs(tmp_path / 'bag')


def _ours_of(tmp_path, times):
    plain = write_bag(
        tmp_path / 'plain', [('/chat', t, text_message(str(i))) for i, t in enumerate(times)]
    )
    by_text = {m.data: m for m in BagReader(plain).messages(all_topics)}
    return list(by_text.values())


def test_reads_a_single_file_and_a_folder_without_metadata(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 5)
    expected = _theirs(bag)
    assert _ours(bag / 'bag.mcap') == expected
    (bag / 'metadata.yaml').unlink()
    reader = BagReader(bag)
    assert [(m.topic.name, m.time_ns, m.data) for m in reader.messages(all_topics)] == expected
    assert [loss.file for loss in reader.losses] == ['metadata.yaml']
    assert reader.topics[0].messages == 5


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_reads_split_recordings_in_the_order_of_their_metadata(tmp_path, storage):
    suffix = {'mcap': '.mcap', 'sqlite3': '.db3'}[storage]
    folder, names = tmp_path / 'bag', []
    folder.mkdir()
    for part in range(11):
        one = write_bag(tmp_path / f'one{part}', camera(2, first=2 * part), storage)
        names.append(f'bag_{part}{suffix}')
        (one / f'one{part}{suffix}').rename(folder / names[-1])
    content = yaml.safe_load((tmp_path / 'one0' / 'metadata.yaml').read_text())
    content['rosbag2_bagfile_information']['relative_file_paths'] = names
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(content))
    times = [time for _, time, _ in _ours(folder)]
    assert times == [START_NS + i * PERIOD_NS + 1_000_000 for i in range(22)]
    (folder / 'metadata.yaml').unlink()
    again = [m.time_ns for m in BagReader(folder).messages(all_topics)]
    assert again == times, 'part 10 comes after part 9'


def test_metadata_of_a_later_release_is_read(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 3)
    file = bag / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    content['rosbag2_bagfile_information'].update(version=10, something_new={'a': 1})
    file.write_text(yaml.safe_dump(content))
    assert len(_ours(bag)) == 3


def test_humble_metadata_without_hashes_and_distribution_is_read(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 3, storage='sqlite3', version=8)
    file = bag / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    body = content['rosbag2_bagfile_information']
    body['version'] = 5
    for key in ('custom_data', 'ros_distro'):
        del body[key]
    for entry in body['topics_with_message_count']:
        del entry['topic_metadata']['type_description_hash']
    file.write_text(yaml.safe_dump(content))
    assert len(_ours(bag)) == 3


def test_time_window_is_half_open(tmp_path):
    for storage in ('mcap', 'sqlite3'):
        reader = BagReader(camera_bag(tmp_path / storage, 10, storage=storage))
        start = START_NS + 1_000_000
        window = reader.messages(all_topics, start + 3 * PERIOD_NS, start + 6 * PERIOD_NS)
        assert [(m.time_ns - start) // PERIOD_NS for m in window] == [3, 4, 5]


def test_qos_and_definition_come_along(tmp_path):
    for storage in ('mcap', 'sqlite3'):
        message = next(
            BagReader(camera_bag(tmp_path / storage, 1, storage=storage)).messages(all_topics)
        )
        assert 'uint8[] data' in message.topic.definition
        assert yaml.safe_load(message.topic.qos)[0]['depth'] == 7


def test_nothing_to_read_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match='there is no recording'):
        BagReader(tmp_path / 'nowhere')
    with pytest.raises(ConfigError, match='no rosbag2'):
        BagReader(tmp_path)
    (tmp_path / 'bag.mcap').write_bytes(b'not a recording at all' * 10)
    with pytest.raises(ConfigError, match='does not begin as one'):
        BagReader(tmp_path / 'bag.mcap')
    assert header(START_NS).stamp.sec == 1_700_000_000


def test_a_folder_of_files_is_one_split_recording_or_many(tmp_path):
    folder = tmp_path / 'drives'
    folder.mkdir()
    for name in ('drive_0.mcap', 'drive_1.mcap', 'drive_10.mcap.zstd'):
        (folder / name).touch()
    assert find_recordings([folder], tmp_path / 'out') == [(folder, tmp_path / 'out')]
    (folder / 'evening.db3').touch()
    (folder / 'drive_10.mcap.zstd').unlink()
    assert find_recordings([folder], tmp_path / 'out') == [
        (folder / f'{name}', tmp_path / 'out' / name.partition('.')[0])
        for name in ('drive_0.mcap', 'drive_1.mcap', 'evening.db3')
    ]
    (folder / 'drive_0.db3').touch()
    with pytest.raises(ConfigError, match="two recordings are named 'drive_0'"):
        find_recordings([folder], tmp_path / 'out')
