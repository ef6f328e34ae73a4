"""The output opens in readers that are not ours: mcap, rosbags, Rerun."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from rosbags.highlevel import AnyReader

from semantic_fast_sam_ros.bags.job import OF_LABELS, Job

from .fakes import label
from .recordings import camera_bag

NODE = '/semantic_fast_sam'
COUNT = 12


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
    """Return labels of a recording, all outputs and the images."""
    folder = tmp_path_factory.mktemp('labelled')
    label(camera_bag(folder / 'bag', COUNT), folder / 'out', Job(outputs=OF_LABELS, copy=('*',)))
    return folder / 'out'


def test_mcap_library_validates_checksums_and_finds_the_definitions(labelled):
    reading = pytest.importorskip('mcap.reader', reason='mcap is missing: requirements/test.txt')
    with (labelled / 'out_0.mcap').open('rb') as stream:
        reader = reading.make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        counts = {}
        for schema, channel, message in reader.iter_messages():
            assert message.data
            assert schema.encoding == 'ros2msg' and channel.message_encoding == 'cdr'
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
        assert reader.get_header().profile == 'ros2'
    assert counts == {f'{NODE}/{name}': COUNT for name in OF_LABELS} | {
        f'{NODE}/label_info': 1,
        '/camera/image_raw': COUNT,
    }
    texts = {schema.name: schema.data.decode() for schema in summary.schemas.values()}
    assert 'MSG: vision_msgs/BoundingBox2D' in texts['vision_msgs/msg/Detection2DArray']
    assert len(texts) == len(summary.schemas), 'each type once'
    for channel in summary.channels.values():
        assert channel.metadata['topic_type_hash'].startswith('RIHS01_')


def test_mcap_stream_reader_accepts_every_record(labelled):
    streams = pytest.importorskip('mcap.stream_reader', reason='mcap is missing')
    with (labelled / 'out_0.mcap').open('rb') as stream:
        kinds = {
            type(r).__name__ for r in streams.StreamReader(stream, validate_crcs=True).records
        }
    assert {'Header', 'Message', 'DataEnd', 'Statistics', 'Footer', 'MetadataIndex'} <= kinds


def test_rosbags_reads_types_from_the_recording_alone(labelled):
    with AnyReader([labelled]) as reader:
        found = {c.topic: c for c in reader.connections}
        connection = found[f'{NODE}/detections']
        _, _, data = next(reader.messages([connection]))
        message = reader.deserialize(data, connection.msgtype)
    assert message.detections[0].results[0].hypothesis.class_id == 'dark'


def test_rerun_checks_and_loads_it(labelled, tmp_path):
    if importlib.util.find_spec('rerun') is None:
        pytest.skip('rerun-sdk is missing: pip install rerun-sdk')
    rerun = str(Path(sys.executable).with_name('rerun'))

    def run(*words):
        result = subprocess.run(
            [rerun, *words], capture_output=True, text=True, check=False, timeout=100
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    source, loaded = labelled / 'out_0.mcap', tmp_path / 'out.rrd'
    checked = run('mcap', 'check', '--full', str(source))
    rows = [line.split() for line in checked.splitlines() if NODE in line]
    assert len(rows) == len(OF_LABELS) + 1
    assert all(row[0] == 'ok' for row in rows), checked
    run('mcap', 'convert', str(source), '-o', str(loaded))
    assert f'{NODE}/label_image' in run('rrd', 'print', str(loaded))
