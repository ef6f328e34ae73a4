"""A recorder's clock that is set while it records: 0 to 2 s, then 2023."""

import threading
import time

import numpy as np
import pytest

from semantic_fast_sam_ros.bags import cluster
from semantic_fast_sam_ros.bags.cluster_plan import Pool, begins_of, plan
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.tools.label_bag import find_recordings

from .fakes import Brightness, label, settings
from .recordings import PERIOD_NS, START_NS, image_message, picture, write_bag
from .test_labelling import payloads

JUMP_S = 54 * 365 * 86400


def jumping(folder, storage='mcap', compression='none', topic='/camera/image_raw'):
    """Write 20 frames from time 0 and 20 from 2023."""
    times = [i * PERIOD_NS for i in range(20)] + [START_NS + i * PERIOD_NS for i in range(20)]
    messages = [(topic, t, image_message(picture(i), t)) for i, t in enumerate(times)]
    return write_bag(folder, messages, storage, compression)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compression', ['none', 'message', 'file'])
def test_a_cluster_plans_parts_where_messages_are(tmp_path, storage, compression):
    bag = jumping(tmp_path / 'bag', storage, compression)
    started = time.monotonic()
    recording = plan(bag, tmp_path / 'out', settings(tmp_path), Job(), Pool(slice_s=1.0), False)
    assert len(recording.tasks) == 4
    assert time.monotonic() - started < 60


def test_parts_of_jumping_stamps_join_to_the_whole(tmp_path, monkeypatch):
    bag = jumping(tmp_path / 'bag')

    def work_here(tasks, config, pool, stop, show):
        for task in tasks:
            cluster._label_part(task, config, Brightness())

    monkeypatch.setattr(cluster, '_run_tasks', work_here)
    monkeypatch.setattr(cluster, '_load', lambda loader: lambda config: Brightness())
    config, job = settings(tmp_path), Job(copy=('*',))
    (outcome,) = cluster.label_on_cluster(
        find_recordings([bag], tmp_path / 'out'),
        config,
        job,
        Pool(slice_s=0.7),
        threading.Event(),
        progress=False,
    )
    assert outcome.complete and outcome.statistics.frame_count == 40
    label(bag, tmp_path / 'whole' / 'out', job, config)
    assert payloads(tmp_path / 'out') == payloads(tmp_path / 'whole' / 'out')


def test_parts_begin_at_messages_and_hold_a_width_at_most():
    times = {0, 5, 9, 10, 11, 30, 10**18, 10**18 + 3}
    assert begins_of(times, 10) == [0, 10, 30, 10**18]
    assert begins_of(set(), 10) == []
    assert begins_of({7}, 10) == [7]


def test_frames_of_jumping_stamps_are_labelled_and_summed_up(tmp_path):
    outcome = label(jumping(tmp_path / 'bag'), tmp_path / 'out')
    assert outcome.complete and outcome.statistics.frame_count == 40
    found = outcome.statistics.timeline.shares(4)
    assert len(found) <= 300
    assert np.isclose([sum(shares) for _, shares in found], 1, atol=1e-3).all()
