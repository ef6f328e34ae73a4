"""Several recordings at once: one that cannot be labelled is told, the others are labelled."""

import argparse
import threading

import pytest

from semantic_fast_sam_ros.bags import cluster
from semantic_fast_sam_ros.bags.cluster_plan import Pool
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.tools import label_bag

from .fakes import Brightness, settings
from .recordings import START_NS, camera, camera_bag, odd_message, text_message, write_bag


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return what runs the command with the fake pipeline and returns its exit code."""

    class Fake(Brightness):
        @classmethod
        def for_throughput(cls, config):
            return cls()

        def warm_up(self):
            pass

    config = settings(tmp_path)
    monkeypatch.setattr(label_bag, 'SemanticFastSam', Fake)
    monkeypatch.setattr(label_bag, 'offline_config_from', lambda arguments, tracks: config)

    def call(*words):
        parser = argparse.ArgumentParser()
        label_bag.add_arguments(parser)
        return label_bag.run(parser.parse_args([*map(str, words), '--quiet']))

    return call


@pytest.fixture
def drives(tmp_path):
    """Return a folder of recordings, most of which cannot be labelled."""
    folder = tmp_path / 'drives'
    camera_bag(folder / 'good', 3)
    camera_bag(folder / 'later', 2, storage='sqlite3')
    write_bag(folder / 'no_camera', [('/chat', START_NS, text_message('x'))])
    write_bag(folder / 'depth', [('/d', START_NS, odd_message('16UC1', START_NS))])
    (folder / 'old.bag').write_bytes(b'#ROSBAG V2.0\n')
    (folder / 'broken.mcap').write_bytes(b'nothing' * 100)
    (folder / 'hollow').mkdir()
    (folder / 'hollow' / 'metadata.yaml').write_text('rosbag2_bagfile_information: {}')
    (folder / '._good.mcap').write_bytes(b'\0\5\x16\7')
    (folder / '__MACOSX').mkdir()
    (folder / '__MACOSX' / 'a.mcap').write_bytes(b'')
    (folder / 'notes.txt').write_text('not a recording')
    return folder


BAD = ('no_camera', 'depth', 'old.bag', 'broken.mcap', 'hollow')


def test_one_bad_recording_does_not_end_a_batch(run, drives, tmp_path, capsys):
    assert run(drives, tmp_path / 'out') == 3
    printed, told = capsys.readouterr()
    assert '3 frames labelled' in printed and '2 frames labelled' in printed
    for name in BAD:
        (line,) = [line for line in told.splitlines() if f'{name}: not labelled' in line]
        assert len(line) > 40, 'with the reason'
    assert len(told.splitlines()) == len(BAD)
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['good', 'later']


def test_a_batch_goes_on_where_it_ended(run, drives, tmp_path, capsys):
    run(drives, tmp_path / 'out')
    camera_bag(drives / 'new', 1)
    assert run(drives, tmp_path / 'out', '--resume') == 3
    printed, _ = capsys.readouterr()
    assert printed.count('already labelled') == 2 and '1 frames labelled' in printed


def test_a_batch_of_which_nothing_is_labelled_is_no_success(run, tmp_path):
    for name in 'ab':
        write_bag(tmp_path / 'drives' / name, [('/chat', START_NS, text_message('x'))])
    assert run(tmp_path / 'drives', tmp_path / 'out') == 1


def test_a_recording_of_its_own_is_an_error(run, tmp_path):
    bag = write_bag(tmp_path / 'bag', [('/chat', START_NS, text_message('x'))])
    with pytest.raises(ConfigError, match='no camera topic'):
        run(bag, tmp_path / 'out')


def test_recordings_are_found_in_folders_by_day(run, tmp_path, capsys):
    for name in ('day_2/drive', 'day_10/drive', 'day_10/later'):
        camera_bag(tmp_path / 'drives' / name, 1)
    out = tmp_path / 'drives' / 'labelled'
    assert run(tmp_path / 'drives', out) == 0
    printed = capsys.readouterr().out
    assert printed.index('day_2') < printed.index('day_10'), 'in natural order'
    found = sorted(str(p.parent.relative_to(out)) for p in out.rglob('metadata.yaml'))
    assert found == ['day_10/drive', 'day_10/later', 'day_2/drive']
    assert run(tmp_path / 'drives', out, '--resume') == 0, 'its own output is no input'


def test_what_is_packed_or_a_copy_is_told_by_name(run, tmp_path, capsys):
    folder = tmp_path / 'drives'
    data = (camera_bag(tmp_path / 'bag', 2) / 'bag.mcap').read_bytes()
    folder.mkdir()
    for name in ('drive.mcap', 'drive.mcap.part', 'other.mcap.active'):
        (folder / name).write_bytes(data)
    for name in ('drive.tar.gz', 'logs.zip'):
        (folder / name).write_bytes(b'packed')
    assert run(folder, tmp_path / 'out') == 0
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['drive', 'other']
    told = capsys.readouterr().err
    assert 'drive.mcap.part is passed over: drive.mcap is there' in told
    assert 'drive.tar.gz is passed over: it is packed: unpack it first, by tar -xf' in told
    assert 'logs.zip is passed over: it is packed: unpack it first, by unzip' in told


@pytest.mark.parametrize('words', [['--start', '100'], ['--topics', '/silent']])
def test_a_run_that_labels_nothing_is_no_success(run, tmp_path, capsys, words):
    bag = write_bag(tmp_path / 'bag', camera(3), silent=[('/silent', 'sensor_msgs/msg/Image')])
    assert run(bag, tmp_path / 'out', *words) == 1
    assert 'nothing was labelled' in capsys.readouterr().err
    assert run(bag, tmp_path / 'out', *words, '--resume') == 1


def test_differences_are_told_and_the_run_is_a_success(run, tmp_path, capsys):
    bag = camera_bag(tmp_path / 'bag', 3)
    (bag / 'bag.mcap').rename(bag / 'bag_1.mcap')
    (bag / 'metadata.yaml').write_text('rosbag2_bagfile_information: {relative_file_paths: []}')
    assert run(bag, tmp_path / 'out') == 0
    assert 'note: metadata.yaml does not list bag_1.mcap' in capsys.readouterr().err


def test_a_cluster_tells_of_bad_recordings_too(drives, tmp_path, monkeypatch):
    def work_here(tasks, config, pool, stop, show):
        for task in tasks:
            cluster._label_part(task, config, Brightness())

    monkeypatch.setattr(cluster, '_run_tasks', work_here)
    monkeypatch.setattr(cluster, '_load', lambda loader: lambda config: Brightness())
    recordings = label_bag.find_recordings([drives], tmp_path / 'out')
    outcomes = cluster.label_on_cluster(
        recordings, settings(tmp_path), Job(), Pool(), threading.Event(), progress=False
    )
    refused = {s.name for (s, _), o in zip(recordings, outcomes, strict=True) if o.refusal}
    assert refused == set(BAD)
    assert sorted(o.statistics.frame_count for o in outcomes if not o.refusal) == [2, 3]
    assert label_bag.exit_code(outcomes) == 3
