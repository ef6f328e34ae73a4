"""Many workers on Ray write what one process writes, even when workers die."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from semantic_fast_sam_ros.bags.cluster import DONE, label_on_cluster
from semantic_fast_sam_ros.bags.cluster_plan import PARTS, Pool
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.core.base.errors import ConfigError

from .fakes import Brightness, label, settings
from .recordings import START_NS, camera, text_message, write_bag

TEST = Path(__file__).parents[1]
DEADLINE_S = 200.0
JOB = Job(copy=('/chat',))
POOL = Pool(workers=2, slice_s=1.0, loader='bags.test_cluster:slow_pipeline')
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PIDS = 'BAGS_TEST_PIDS'  # folder where workers note their process ids


def slow_pipeline(config):
    """Load the fake pipeline in a worker: it notes its process and takes its time."""
    folder = Path(os.environ[PIDS])

    def hear(count):
        (folder / str(os.getpid())).write_text(str(count))
        time.sleep(0.05)

    return Brightness(hear)


@pytest.fixture(scope='module')
def pids(tmp_path_factory):
    """Return the folder where workers note their process ids."""
    folder = tmp_path_factory.mktemp('pids')
    os.environ[PIDS] = str(folder)
    yield folder
    del os.environ[PIDS]


@pytest.fixture(scope='module')
def cluster(pids):
    """Start two nodes on this machine, each with room for one worker."""
    pytest.importorskip('ray', reason='ray is missing: requirements/cluster.txt')
    # A busy machine takes its time to start the processes of a node.
    os.environ.setdefault('RAY_raylet_start_wait_time_s', '180')
    os.environ.setdefault('RAY_agent_register_timeout_ms', '180000')
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    os.environ['PYTHONPATH'] = os.pathsep.join((str(TEST), str(TEST.parent)))
    import ray
    from ray.cluster_utils import Cluster

    limits = {'num_cpus': 1, 'object_store_memory': 80_000_000}
    try:
        nodes = Cluster(True, head_node_args={**limits, 'include_dashboard': False})
    except Exception as error:  # no address, no shared memory: whatever ray misses here
        pytest.skip(f'ray cannot start on this machine: {error}')
    nodes.add_node(**limits)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def bag(tmp_path):
    """Return a recording of 60 frames, 6 s, and other messages."""
    texts = [('/chat', START_NS + i * 29_000_000, text_message(str(i))) for i in range(200)]
    return write_bag(tmp_path / 'bag', sorted(camera(60) + texts, key=lambda m: m[1]))


def _whole(bag, tmp_path, job):
    label(bag, tmp_path / 'whole' / 'out', job, settings(tmp_path))
    return (tmp_path / 'whole' / 'out' / 'out_0.mcap').read_bytes()


def _label(bag, out, job=JOB, stop=None, resume=False):
    stop = stop or threading.Event()
    config = settings(out.parent)
    return label_on_cluster([(bag, out)], config, job, POOL, stop, resume, progress=False)[0]


@pytest.mark.parametrize('every', [1, 4])
def test_two_nodes_write_the_bytes_of_one_process(cluster, bag, tmp_path, every):
    job = Job(copy=('/chat',), every=every)
    outcome = _label(bag, tmp_path / 'out', job)
    assert outcome.complete
    assert (tmp_path / 'out' / 'out_0.mcap').read_bytes() == _whole(bag, tmp_path, job)
    assert not (tmp_path / 'out' / PARTS).exists()
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['complete'] and summary['frames'] == -(-60 // every)


def test_killed_worker_loses_nothing(cluster, bag, pids, tmp_path):
    for file in pids.iterdir():
        file.unlink()
    killed = []

    def kill_one():
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            for file in pids.iterdir():
                if (
                    file.read_text().isdigit() and int(file.read_text()) >= 13
                ):  # in its second part
                    os.kill(int(file.name), signal.SIGKILL)
                    killed.append(int(file.name))
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_one)
    killer.start()
    outcome = _label(bag, tmp_path / 'out')
    killer.join()
    assert killed, 'no worker came far enough to be killed'
    assert len(list(pids.iterdir())) > 2, 'another worker took its place'
    assert outcome.complete
    assert (tmp_path / 'out' / 'out_0.mcap').read_bytes() == _whole(bag, tmp_path, JOB)


def test_interrupted_job_keeps_finished_parts_and_resumes(cluster, bag, tmp_path):
    stop = threading.Event()
    parts = tmp_path / 'out' / PARTS

    def stop_after_two():
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and len(list(parts.glob(f'*/{DONE}'))) < 2:
            time.sleep(0.01)
        stop.set()

    watcher = threading.Thread(target=stop_after_two)
    watcher.start()
    assert _label(bag, tmp_path / 'out', stop=stop).interrupted
    watcher.join()
    finished = {path: path.stat().st_mtime_ns for path in parts.glob(f'*/{DONE}')}
    assert 2 <= len(finished) < 6
    with pytest.raises(ConfigError, match='--resume'):
        _label(bag, tmp_path / 'out')
    assert _label(bag, tmp_path / 'out', resume=True).complete
    assert (tmp_path / 'out' / 'out_0.mcap').read_bytes() == _whole(bag, tmp_path, JOB)
