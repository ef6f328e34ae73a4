"""Recordings as users come by them: copied, converted, renamed, packed, from other machines."""

import errno
import gzip
import shutil
import sqlite3
import time
from pathlib import Path

import cv2
import pytest
import zstandard
from mcap.writer import CompressionType, Writer

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.messages import topic_of
from semantic_fast_sam_ros.bags.reader import BagReader, all_topics
from semantic_fast_sam_ros.bags.types import Message
from semantic_fast_sam_ros.bags.writer import BagWriter
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.tools.label_bag import find_recordings
from semantic_fast_sam_ros.tools.sources import open_source
from semantic_fast_sam_ros.tools.stream import paced

from .fakes import label
from .recordings import (
    COMPRESSED,
    IMAGE,
    PERIOD_NS,
    START_NS,
    STORE,
    camera,
    camera_bag,
    compressed_message,
    image_message,
    odd_message,
    picture,
    write_bag,
)
from .test_knowing_recordings import edit_metadata, frames, split_bag


def test_one_topic_of_two_types_is_read_as_both(tmp_path):
    writer = BagWriter(tmp_path / 'bag')
    for i, kind in enumerate((COMPRESSED, IMAGE) * 2):
        time_ns = START_NS + i * PERIOD_NS
        made = (image_message if kind == IMAGE else compressed_message)(picture(i), time_ns)
        data = bytes(STORE.serialize_cdr(made, kind))
        writer.write(Message(topic_of('/camera', kind, ''), time_ns, data), i + 1)
    writer.close()
    outcome = label(tmp_path / 'bag', tmp_path / 'out')
    assert outcome.statistics.frames == {'/camera': 4} and not outcome.statistics.refused


@pytest.mark.parametrize('metadata', [True, False])
def test_a_converted_copy_beside_a_recording_is_not_read_again(tmp_path, metadata):
    bag = camera_bag(tmp_path / 'bag', 3, storage='sqlite3')
    shutil.copy(camera_bag(tmp_path / 'other' / 'bag', 3) / 'bag.mcap', bag)
    if not metadata:
        (bag / 'metadata.yaml').unlink()
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2]
    assert any('left out' in note for note in reader.notes)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_times_before_1970_are_read(tmp_path, storage):
    bag = camera_bag(tmp_path / 'bag', 3, storage='sqlite3')
    base = sqlite3.connect(bag / 'bag.db3')
    with base:
        base.execute('UPDATE messages SET timestamp = timestamp - ?', (START_NS + 10**9,))
    base.close()
    outcome = label(bag, tmp_path / 'out', Job(storage=storage, copy=('*',)))
    assert outcome.statistics.frame_count == 3 and not outcome.problem


@pytest.mark.parametrize(
    'path', ['C:\\bags\\bag\\bag.mcap', '/home/me/bag/bag.mcap', 'bag/bag.mcap']
)
def test_paths_of_another_machine_are_no_difference(tmp_path, path):
    bag = camera_bag(tmp_path / 'bag', 3)
    edit_metadata(bag, relative_file_paths=[path])
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2]
    assert reader.losses == [] and reader.notes == []


def test_a_file_that_is_listed_twice_is_read_once(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 3)
    edit_metadata(bag, relative_file_paths=['bag.mcap', 'bag.mcap'])
    assert frames(BagReader(bag)) == [0, 1, 2]


def test_a_recording_whose_clock_stood_still_is_played_by_its_stamps(tmp_path):
    messages = [
        ('/camera', 0, image_message(picture(i), START_NS + i * PERIOD_NS)) for i in range(4)
    ]
    bag = write_bag(tmp_path / 'bag', messages)
    outcome = label(bag, tmp_path / 'out')
    assert outcome.statistics.frame_count == 4
    started = time.monotonic()
    assert len(list(paced(open_source(str(bag)), None, 1.0))) == 4
    assert time.monotonic() - started > 0.25, 'three periods'


def test_names_with_dots_are_told_apart(tmp_path):
    folder = tmp_path / 'drives'
    folder.mkdir()
    for name in ('drive.2024-01-01.mcap', 'drive.2024-01-02.mcap.zstd', 'v1.2.db3'):
        (folder / name).touch()
    found = find_recordings([folder], tmp_path / 'out')
    assert [out.name for _, out in found] == ['drive.2024-01-01', 'drive.2024-01-02', 'v1.2']


def test_a_file_with_attachments_and_some_messages_compressed_is_read(tmp_path):
    path, out = tmp_path / 'a.mcap', tmp_path / 'out'
    with path.open('wb') as stream:
        writer = Writer(stream, chunk_size=3000, compression=CompressionType.LZ4)
        writer.start('ros2')
        text = topic_of('/camera', IMAGE, '').definition.encode()
        channel = writer.register_channel(
            '/camera', 'cdr', writer.register_schema(IMAGE, 'ros2msg', text)
        )
        for i in range(6):
            time_ns = START_NS + i * PERIOD_NS
            data = bytes(STORE.serialize_cdr(image_message(picture(i), time_ns), IMAGE))
            data = zstandard.compress(data) if i % 2 else data
            writer.add_message(channel, time_ns, data, time_ns)
            writer.add_attachment(time_ns, time_ns, 'note', 'text/plain', bytes(5000))
        writer.finish()
    assert label(path, out).statistics.frame_count == 6
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])  # without an index
    assert 3 <= len(list(BagReader(path).messages(all_topics))) <= 5


def test_the_metadata_file_stands_for_its_folder(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 3)
    assert find_recordings([bag / 'metadata.yaml'], tmp_path / 'out')[0][1] == tmp_path / 'out'
    assert label(bag / 'metadata.yaml', tmp_path / 'out').statistics.frame_count == 3
    assert len(list(open_source(str(bag / 'metadata.yaml')))) == 3


@pytest.mark.parametrize('as_folder', [True, False])
def test_other_packing_is_said_by_name(tmp_path, as_folder):
    data = (camera_bag(tmp_path / 'bag', 3) / 'bag.mcap').read_bytes()
    folder = tmp_path / 'packed'
    folder.mkdir()
    (folder / 'drive.mcap.gz').write_bytes(gzip.compress(data))
    with pytest.raises(ConfigError, match='gzip'):
        BagReader(folder if as_folder else folder / 'drive.mcap.gz')


@pytest.mark.parametrize('ending', ['.active', '.part', '.filepart'])
def test_a_file_that_was_not_finished_is_read_and_told(tmp_path, ending):
    bag = camera_bag(tmp_path / 'bag', 3)
    (bag / 'bag.mcap').rename(bag / f'bag.mcap{ending}')
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2]
    assert reader.notes == [f'metadata.yaml lists bag.mcap, bag.mcap{ending} is there: read']
    (bag / 'metadata.yaml').unlink()
    assert frames(BagReader(bag)) == [0, 1, 2]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize(
    ('data', 'told'),
    [
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'pointer of Git LFS'),
        (b'<!DOCTYPE html><title>Sign in</title>', 'a page of the web'),
        (bytes(5000), 'it is zeros'),
    ],
)
def test_what_lies_under_the_name_of_a_recording_is_said(tmp_path, storage, data, told):
    bag = camera_bag(tmp_path / 'bag', 3, storage=storage)
    file = next(file for file in bag.iterdir() if file.suffix != '.yaml')
    file.write_bytes(data)
    for path in (bag, file):
        with pytest.raises(ConfigError, match=told):
            BagReader(path)


def test_photos_beside_a_metadata_file_of_their_own_are_photos(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), picture(1))
    (tmp_path / 'metadata.yaml').write_text('licence: CC0')
    assert len(list(open_source(str(tmp_path)))) == 1


def test_a_recording_in_a_folder_of_its_own_is_played(tmp_path):
    camera_bag(tmp_path / 'drives' / 'drive', 3)
    (tmp_path / 'drives' / '__MACOSX' / 'drive').mkdir(parents=True)
    (tmp_path / 'drives' / '__MACOSX' / 'drive' / 'drive.mcap').write_bytes(b'')
    assert len(list(open_source(str(tmp_path / 'drives')))) == 3
    camera_bag(tmp_path / 'drives' / 'later', 3)
    with pytest.raises(ConfigError, match='2 recordings, name one of them: drive, later'):
        open_source(str(tmp_path / 'drives'))


def test_differences_and_other_cameras_are_worth_knowing_and_no_loss(tmp_path):
    left, right = camera(2, '/left/image'), camera(2, '/right/image')
    depth = [('/depth', START_NS, odd_message('16UC1', START_NS))]
    bag = write_bag(tmp_path / 'bag', [*depth, *left, *right])
    lost, told = [], []
    assert len(list(open_source(str(bag), '', lost.append, told.append))) == 2
    assert lost == []
    assert 'note: /depth is left out' in told[0]
    assert '/left/image is played; there are also /right/image' in told[1]


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'latin-1'])
def test_metadata_as_another_editor_saves_it_costs_nothing(tmp_path, encoding):
    bag = camera_bag(tmp_path / 'bag', 3)
    file = bag / 'metadata.yaml'
    file.write_bytes((file.read_text() + '# bei Köln\n').encode(encoding))
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2]


def test_links_that_lead_nowhere_are_missing_files(tmp_path):
    bag = split_bag(tmp_path / 'bag')
    (bag / 'bag_1.mcap').unlink()
    (bag / 'bag_1.mcap').symlink_to(tmp_path / 'gone.mcap')
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 4, 5]
    assert [(loss.file, loss.reason) for loss in reader.losses] == [('bag_1.mcap', 'missing')]


def test_a_name_in_other_case_is_the_same_file(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 3)
    (bag / 'bag.mcap').rename(bag / 'BAG.MCAP')  # as FAT and Windows give it back
    reader = BagReader(bag)
    assert frames(reader) == [0, 1, 2] and not reader.losses
    assert reader.notes == ['metadata.yaml lists bag.mcap, BAG.MCAP is there: read']


def test_an_unknown_compression_is_told_by_name(tmp_path):
    path = tmp_path / 'a.mcap'
    with path.open('wb') as stream:
        writer = Writer(stream, compression=CompressionType.LZ4)
        writer.start('ros2')
        text = topic_of('/camera', IMAGE, '').definition.encode()
        schema = writer.register_schema(IMAGE, 'ros2msg', text)
        channel = writer.register_channel('/camera', 'cdr', schema)
        data = bytes(STORE.serialize_cdr(image_message(picture(0), START_NS), IMAGE))
        writer.add_message(channel, START_NS, data, START_NS)
        writer.finish()
    path.write_bytes(path.read_bytes().replace(b'\3\0\0\0lz4', b'\3\0\0\0br0'))
    outcome = label(path, tmp_path / 'out')
    assert outcome.empty and not outcome.complete
    assert "compression 'br0' is not known" in str(outcome.losses[0])


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3'])
def test_a_file_of_no_bytes_is_said_to_be_empty(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=f'{name}: cannot be opened: it is empty: 0 bytes'):
        BagReader(tmp_path / name)


def test_a_camera_that_sends_images_of_no_size_is_counted(tmp_path):
    messages = camera(2) + camera(2, '/dead', size=(0, 0))
    for topic, _, message in messages:
        message.encoding = 'rgb8' if topic != '/dead' else ''
    outcome = label(write_bag(tmp_path / 'bag', messages), tmp_path / 'out')
    assert outcome.statistics.refused == {'/dead': 2}
    assert outcome.statistics.refusals['/dead'] == 'the image is empty: 0x0'


def test_a_recording_that_may_not_be_read_costs_no_other(tmp_path, monkeypatch):
    for name in ('open', 'closed'):
        camera_bag(tmp_path / 'drives' / name, 1)
    real = Path.is_file

    def refuse(path):
        if path.parent.name == 'closed':
            raise PermissionError(errno.EACCES, 'Permission denied', str(path))
        return real(path)

    monkeypatch.setattr(Path, 'is_file', refuse)  # root may read everything
    found = [source for source, _ in find_recordings([tmp_path / 'drives'], tmp_path / 'out')]
    assert [source.name for source in found] == ['closed', 'open']
    with pytest.raises(ConfigError, match='closed cannot be read: Permission denied'):
        BagReader(found[0])


def test_topics_may_be_named_without_their_slash(tmp_path):
    bag = write_bag(tmp_path / 'bag', camera(3) + camera(3, '/rear/image'))
    assert label(bag, tmp_path / 'out', Job(topics=('rear/*',))).statistics.frames == {
        '/rear/image': 3
    }
