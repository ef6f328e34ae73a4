"""Names that settle while a recording is labelled: by camera, the same in a resumed run."""

import threading

import numpy as np
import pytest

from semantic_fast_sam_ros.bags.cluster import label_on_cluster
from semantic_fast_sam_ros.bags.cluster_plan import Pool
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.core.base.errors import ConfigError

from .fakes import Brightness, Learner, label, settings
from .recordings import camera, camera_bag, write_bag
from .test_labelling import payloads, read

FRAMES = 12


def adapting(folder, **values):
    return settings(folder, clip__adaptation='ul_tta', **values)


@pytest.mark.parametrize('frames', [1, 4, FRAMES - 1])
def test_a_resumed_run_gives_the_labels_of_an_undisturbed_one(tmp_path, frames):
    bag, job = camera_bag(tmp_path / 'bag', FRAMES), Job(compression='')
    label(bag, tmp_path / 'whole' / 'out', job, adapting(tmp_path), Learner())
    out, stop = tmp_path / 'out', threading.Event()

    def hear(count):
        if count == frames:
            stop.set()

    first = label(bag, out, job, adapting(tmp_path), Learner(hear), stop)
    assert first.interrupted and first.statistics.frame_count == frames
    second = Learner()
    outcome = label(bag, out, job, adapting(tmp_path), second, resume=True)
    assert outcome.complete and outcome.statistics.frame_count == FRAMES
    assert second.count == FRAMES  # those before were looked at again, to learn of them
    assert payloads(out) == payloads(tmp_path / 'whole' / 'out')


def test_without_adaptation_nothing_is_looked_at_again(tmp_path):
    bag, out, stop = camera_bag(tmp_path / 'bag', FRAMES), tmp_path / 'out', threading.Event()
    label(bag, out, None, settings(tmp_path), Brightness(lambda count: stop.set()), stop)
    rest = Brightness()
    label(bag, out, None, settings(tmp_path), rest, resume=True)
    assert rest.count == FRAMES - 1


@pytest.mark.parametrize('shared', [False, True])
def test_cameras_learn_apart_or_together(tmp_path, shared):
    both = camera(3, '/left/image_raw') + camera(3, '/right/image_raw')
    bag = write_bag(tmp_path / 'bag', sorted(both, key=lambda m: m[1]))
    config = adapting(tmp_path, clip__ul_tta__shared=shared)
    label(bag, tmp_path / 'out', None, config, Learner())
    found = read(tmp_path / 'out')
    values = {
        topic: [int(np.frombuffer(m.data, np.uint8)[0]) for _, m in messages]
        for topic, messages in found.items()
        if topic.endswith('/label_image')
    }
    assert len(values) == 2
    apart = all(seen == [2, 3, 1] for seen in values.values())
    assert apart is not shared


def test_a_cluster_refuses_with_the_reason(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 2)
    with pytest.raises(ConfigError, match=r'names settle from image to image.*one machine'):
        label_on_cluster(
            [(bag, tmp_path / 'out')], adapting(tmp_path), Job(), Pool(), threading.Event()
        )
