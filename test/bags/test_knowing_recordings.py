"""What a recording is, its files and messages say; what metadata.yaml says otherwise is told."""

import json
import shutil

import pytest
import yaml
import zstandard

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.reader import BagReader, all_topics
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.tools.sources import open_source

from .fakes import label
from .recordings import PERIOD_NS, START_NS, camera, camera_bag, text_message, write_bag

SUFFIX = {'mcap': '.mcap', 'sqlite3': '.db3'}


def edit_metadata(bag, **values):
    """Change what metadata.yaml says."""
    file = bag / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    content['rosbag2_bagfile_information'].update(values)
    file.write_text(yaml.safe_dump(content))


def frames(reader):
    """Return which frames are read."""
    return [(m.time_ns - START_NS) // PERIOD_NS for m in reader.messages(all_topics)]


def split_bag(folder, parts=3, storage='mcap'):
    """Write a recording of several files, two frames each."""
    folder.mkdir()
    for part in range(parts):
        one = write_bag(folder.parent / f'one{part}', camera(2, first=2 * part), storage)
        (one / f'one{part}{SUFFIX[storage]}').rename(folder / f'bag_{part}{SUFFIX[storage]}')
    shutil.copy(folder.parent / 'one0' / 'metadata.yaml', folder)
    edit_metadata(folder, relative_file_paths=[f'bag_{i}{SUFFIX[storage]}' for i in range(parts)])
    return folder


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('as_file', [True, False])
def test_compressed_messages_are_known_by_how_they_begin(tmp_path, storage, as_file):
    bag = camera_bag(tmp_path / 'bag', 3, storage=storage, compression='message')
    file = bag / f'bag{SUFFIX[storage]}'
    (bag / 'metadata.yaml').unlink()
    outcome = label(file if as_file else bag, tmp_path / 'out')
    assert outcome.statistics.frame_count == 3 and not outcome.statistics.refused


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('name', ['bag{}', 'bag{}.zstd', 'bag{}.zst', 'anything'])
@pytest.mark.parametrize('packed', [True, False])
def test_a_compressed_file_is_known_by_how_it_begins(tmp_path, storage, name, packed):
    data = (
        camera_bag(tmp_path / 'bag', 3, storage=storage) / f'bag{SUFFIX[storage]}'
    ).read_bytes()
    file = tmp_path / name.format(SUFFIX[storage])
    file.write_bytes(zstandard.compress(data) if packed else data)
    reader = BagReader(file)
    assert frames(reader) == [0, 1, 2] and reader.losses == []
    assert len(list(open_source(str(file)))) == 3


@pytest.mark.parametrize('lists_compressed', [True, False])
def test_a_file_under_its_other_name_is_found_and_told(tmp_path, lists_compressed):
    bag = camera_bag(tmp_path / 'bag', 3)
    file = bag / 'bag.mcap'
    if lists_compressed:  # somebody has decompressed it
        edit_metadata(bag, relative_file_paths=['bag.mcap.zstd'], compression_mode='FILE')
    else:
        (bag / 'bag.mcap.zstd').write_bytes(zstandard.compress(file.read_bytes()))
        file.unlink()
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2] and reader.losses == []
    (note,) = reader.notes
    assert 'bag.mcap.zstd' in note and 'bag.mcap' in note.replace('bag.mcap.zstd', '')


@pytest.mark.parametrize('listed', [[], None, 'nothing', 7, ['elsewhere/other.mcap']])
def test_files_that_metadata_does_not_list_are_looked_for(tmp_path, listed):
    bag = camera_bag(tmp_path / 'bag', 3)
    edit_metadata(bag, relative_file_paths=listed)
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2]
    told = ' '.join([*reader.notes, *map(str, reader.losses)])
    assert 'bag.mcap' in told or 'unreadable' in told


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('listed', [0, 1, 2])
def test_one_of_three_files_listed_is_three_files_read(tmp_path, storage, listed):
    bag = split_bag(tmp_path / 'bag', storage=storage)
    edit_metadata(bag, relative_file_paths=[f'bag_{listed}{SUFFIX[storage]}'])
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2, 3, 4, 5], 'in the order of recording'
    assert reader.losses == []
    others = [f'bag_{i}{SUFFIX[storage]}' for i in range(3) if i != listed]
    assert all(any(name in note for note in reader.notes) for name in others)
    assert reader.start_ns == START_NS + 1_000_000


def test_files_of_another_recording_and_copies_are_not_mixed_in(tmp_path):
    bag = split_bag(tmp_path / 'bag', 2)
    shutil.copy(camera_bag(tmp_path / 'evening', 4) / 'evening.mcap', bag)
    data = (bag / 'bag_0.mcap').read_bytes()
    (bag / 'bag_0.mcap.zstd').write_bytes(zstandard.compress(data))
    (bag / '._bag_0.mcap').write_bytes(b'\0\5\x16\7')  # what macOS leaves
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2, 3]
    assert any('evening.mcap' in note and 'left out' in note for note in reader.notes)


@pytest.mark.parametrize('topics', [[], None, 'camera', [{'message_count': 3}], [None]])
def test_topics_are_those_of_the_files(tmp_path, topics):
    bag = camera_bag(tmp_path / 'bag', 3)
    edit_metadata(bag, topics_with_message_count=topics)
    outcome = label(bag, tmp_path / 'out')
    assert outcome.statistics.frames == {'/camera/image_raw': 3}
    assert any('/camera/image_raw' in note for note in outcome.notes)
    assert json.loads((tmp_path / 'out' / 'summary.json').read_text())['notes'] == outcome.notes


def test_a_camera_that_metadata_leaves_out_is_labelled_and_told(tmp_path):
    messages = sorted(camera(3, '/front') + camera(3, '/rear'), key=lambda m: m[1])
    bag = write_bag(tmp_path / 'bag', messages)
    content = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    edit_metadata(bag, topics_with_message_count=content['topics_with_message_count'][:1])
    outcome = label(bag, tmp_path / 'out')
    assert outcome.statistics.frames == {'/front': 3, '/rear': 3}
    assert any('/rear' in note for note in outcome.notes)


@pytest.mark.parametrize('start_ns', [0, START_NS - 10**12, START_NS + 10**12, None, 'soon'])
def test_duration_counts_from_the_first_message(tmp_path, start_ns):
    bag = camera_bag(tmp_path / 'bag', 20)
    edit_metadata(bag, starting_time={'nanoseconds_since_epoch': start_ns})
    job = Job(start_s=0.5, duration_s=1.0)
    outcome = label(bag, tmp_path / 'out', job)
    assert outcome.statistics.frame_count == 10
    if isinstance(start_ns, int):
        assert any('begins at' in note for note in outcome.notes)


def test_a_sound_recording_has_nothing_to_tell(tmp_path):
    for storage in ('mcap', 'sqlite3'):
        for compression in ('none', 'message', 'file'):
            bag = write_bag(
                tmp_path / f'{storage}_{compression}',
                [*camera(3), ('/chat', START_NS + 10**9, text_message('x'))],
                storage,
                compression,
            )
            reader = BagReader(bag)
            assert reader.notes == [] and reader.losses == []


def test_a_single_file_of_a_split_recording_is_that_file(tmp_path):
    bag = split_bag(tmp_path / 'bag')
    found = list(open_source(str(bag / 'bag_1.mcap')))
    assert [(f.time_ns - START_NS) // PERIOD_NS for f in found] == [2, 3]
    assert frames(BagReader(bag / 'bag_1.mcap')) == [2, 3]


def test_stream_reads_what_label_bag_reads(tmp_path):
    for compression in ('none', 'message', 'file'):
        bag = camera_bag(tmp_path / compression, 2, compression=compression)
        (bag / 'metadata.yaml').unlink()
        (file,) = bag.iterdir()
        assert len(list(open_source(str(bag)))) == 2, 'a folder without metadata.yaml'
        assert len(list(open_source(str(file)))) == 2


def test_other_kinds_of_recordings_are_said_by_name(tmp_path):
    file = tmp_path / 'drive.bag'
    file.write_bytes(b'#ROSBAG V2.0\n' + bytes(100))
    with pytest.raises(ConfigError, match=r'ROS 1 bag.*rosbags-convert'):
        BagReader(file)
    with pytest.raises(ConfigError, match=r'ROS 1 bag.*rosbags-convert'):
        open_source(str(file))
    with pytest.raises(ConfigError, match=r'ROS 1 bag.*rosbags-convert'):
        label(tmp_path, tmp_path / 'out')


def test_a_file_that_cannot_be_opened_is_told_and_the_others_are_read(tmp_path):
    bag = split_bag(tmp_path / 'bag')
    (bag / 'bag_1.mcap').write_bytes(b'')
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 4, 5]
    assert [loss.file for loss in reader.losses] == ['bag_1.mcap']
