"""However a run ends, its output is a readable recording, and --resume completes it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.core.base.errors import ConfigError

from .fakes import Brightness, label, settings
from .recordings import START_NS, camera, camera_bag, text_message, write_bag
from .test_labelling import payloads

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
DEADLINE_S = 150.0
# Labels a recording in a process of its own: bag, output, sleep a frame, optional limit of bytes.
SCRIPT = """
import resource, sys, time
from pathlib import Path
from bags.fakes import Brightness, label, settings
from semantic_fast_sam_ros.tools.label_bag import report, stop_on_signals
from semantic_fast_sam_ros.bags.job import Job
bag, out, nap, limit = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
def hear(count):
    print(count, flush=True)
    time.sleep(nap)
with stop_on_signals() as stop:
    outcome = label(bag, out, Job(copy=('/chat',), compression=''), pipeline=Brightness(hear),
                    stop=stop)
sys.exit(report(bag, outcome))
"""
JOB = Job(copy=('/chat',), compression='')


@pytest.fixture
def bag(tmp_path):
    """Return a recording of 60 frames and other messages."""
    texts = [('/chat', START_NS + i * 30_000_000, text_message(str(i))) for i in range(200)]
    return write_bag(
        tmp_path / 'bag', sorted(camera(60, size=(90, 120)) + texts, key=lambda m: m[1])
    )


@pytest.fixture
def expected(bag, tmp_path):
    """Return what an undisturbed run writes."""
    label(bag, tmp_path / 'whole' / 'out', JOB, settings(tmp_path))
    return payloads(tmp_path / 'whole' / 'out')


def _start(bag, out, nap=0.0, limit=0):
    environment = {**os.environ, 'PYTHONPATH': f'{HERE.parent}{os.pathsep}{HERE.parents[1]}'}
    words = [sys.executable, '-c', SCRIPT, str(bag), str(out), str(nap), str(limit)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def _wait_for_frame(process, count):
    for line in process.stdout:
        if line.strip() == str(count):
            return
    raise AssertionError(process.stderr.read())


def _check_readers(out):
    """Open a recording with the mcap and rosbags libraries; return its messages."""
    with next(out.glob('*.mcap')).open('rb') as stream:
        reader = make_reader(stream, validate_crcs=True)
        count = sum(1 for _ in reader.iter_messages())
        assert reader.get_summary().statistics.message_count == count
    with Reader(out) as reader:
        assert reader.message_count == count
    return payloads(out)


def test_ctrl_c_leaves_a_readable_recording_that_resumes(bag, expected, tmp_path):
    out = tmp_path / 'out'
    process = _start(bag, out, nap=0.05)
    _wait_for_frame(process, 15)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, errors
    assert '--resume' in errors
    found = _check_readers(out)
    assert 15 <= sum(topic.endswith('/label_image') for topic, _, _ in found) < 60
    assert found == expected[: len(found)]
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['interrupted'] and not summary['complete']
    outcome = label(bag, out, JOB, settings(tmp_path), resume=True)
    assert outcome.complete and outcome.frames_before >= 15
    assert outcome.statistics.frame_count == 60
    assert _check_readers(out) == expected


def test_a_killed_run_resumes_to_the_same_file(bag, expected, tmp_path):
    out = tmp_path / 'killed' / 'out'
    out.parent.mkdir()
    (out.parent / 'model.pt').write_bytes(b'weights')
    process = _start(bag, out, nap=0.02)
    _wait_for_frame(process, 40)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    assert not (out / 'metadata.yaml').exists()
    # The settings name the model by path.
    outcome = label(bag, out, JOB, settings(out.parent), resume=True)
    assert 0 < outcome.frames_before < 60
    assert _check_readers(out) == expected
    whole = (tmp_path / 'whole' / 'out' / 'out_0.mcap').read_bytes()
    assert (out / 'out_0.mcap').read_bytes() == whole


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_resume_after_every_point_gives_the_same_messages(bag, tmp_path, storage):
    job = Job(copy=('/chat',), compression='', storage=storage, every=2)
    label(bag, tmp_path / 'a' / 'out', job, settings(tmp_path))
    expected = payloads(tmp_path / 'a' / 'out')
    for frames in (1, 7, 29):
        out, stop = tmp_path / f'{frames}' / 'out', threading.Event()

        def hear(count, stop=stop, frames=frames):
            if count == frames:
                stop.set()

        first = label(bag, out, job, settings(tmp_path), Brightness(hear), stop)
        assert first.interrupted and first.statistics.frame_count == frames
        second = label(bag, out, job, settings(tmp_path), resume=True)
        assert second.frames_before == frames
        assert payloads(out) == expected


def test_resume_refuses_other_settings_models_and_folders(bag, tmp_path):
    stop = threading.Event()
    pipeline = Brightness(lambda count: stop.set())
    label(bag, tmp_path / 'out', JOB, settings(tmp_path), pipeline, stop)
    with pytest.raises(ConfigError, match='confidence'):
        label(bag, tmp_path / 'out', JOB, settings(tmp_path, masks__confidence=0.5), resume=True)
    with pytest.raises(ConfigError, match='every'):
        label(bag, tmp_path / 'out', Job(every=2), settings(tmp_path), resume=True)
    (tmp_path / 'model.pt').write_bytes(b'other weights')
    with pytest.raises(ConfigError, match='begun with other settings'):
        label(bag, tmp_path / 'out', JOB, settings(tmp_path), resume=True)
    with pytest.raises(ConfigError, match='--resume'):
        label(bag, tmp_path / 'out', JOB, settings(tmp_path))
    with pytest.raises(ConfigError, match='holds no run'):
        label(bag, bag, JOB, resume=True)


def test_resuming_a_complete_run_labels_nothing(bag, tmp_path):
    label(bag, tmp_path / 'out')
    pipeline = Brightness()
    outcome = label(bag, tmp_path / 'out', pipeline=pipeline, resume=True)
    assert outcome.already_complete and pipeline.count == 0


def test_full_disk_stops_cleanly_and_resumes(bag, expected, tmp_path):
    out = tmp_path / 'out'
    process = _start(bag, out, limit=40_000_000)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    small = tmp_path / 'small'
    process = _start(bag, small, limit=2_000_000)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, errors
    assert 'cannot write' in errors and '--resume' in errors
    found = _check_readers(small)
    assert 0 < len(found) < len(expected)
    assert found == expected[: len(found)]
    summary = json.loads((small / 'summary.json').read_text())
    assert summary['problem']
    assert summary['frames'] == sum(topic.endswith('/label_image') for topic, _, _ in found)
    label(bag, small, JOB, settings(tmp_path), resume=True)
    assert _check_readers(small) == expected


def test_a_really_full_disk_stops_cleanly(bag, expected, tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    words = ['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', str(disk)]
    if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip('mounting a small disk needs root')
    try:
        outcome = label(bag, disk / 'out', JOB, settings(tmp_path))
        assert 'cannot write' in outcome.problem
        found = _check_readers(disk / 'out')
        assert 0 < len(found) < len(expected)
        assert found == expected[: len(found)]
    finally:
        subprocess.run(['umount', str(disk)], check=False)


def test_memory_is_bounded_by_the_queues(tmp_path):
    """The reader waits for the labeller instead of filling the memory."""
    under_way, most = 0, 0
    lock = threading.Lock()
    bag = camera_bag(tmp_path / 'bag', 80)

    from semantic_fast_sam_ros.bags import labeller

    original = labeller.to_rgb

    def decode(*given):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        return original(*given)

    def hear(count):
        nonlocal under_way
        with lock:
            under_way -= 1
        time.sleep(0.005)

    labeller.to_rgb = decode
    try:
        label(bag, tmp_path / 'out', pipeline=Brightness(hear))
    finally:
        labeller.to_rgb = original
    assert 1 < most <= 8
