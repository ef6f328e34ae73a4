"""Each moment of a frame is charged to the innermost stage."""

import threading
import warnings

import numpy as np
import pytest
import torch

from semantic_fast_sam_ros.core.base import timing
from semantic_fast_sam_ros.core.base.timing import StageTimer, stage
from semantic_fast_sam_ros.core.images.rgb import as_tensor
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

CPU = torch.device('cpu')


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds; tests turn it on."""
    now = [0.0]
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: now[0])
    return now


def test_a_stage_is_not_charged_with_those_inside_it(clock: list[float]) -> None:
    timer = StageTimer(CPU)
    with timer.running(), stage('outer'):
        clock[0] += 1
        for _ in range(2):
            with stage('inner'):
                clock[0] += 2
        clock[0] += 3
    # What ends first stands first, as a frame goes through the networks before their outputs.
    assert list(timer.stage_ms().items()) == [('inner', 4000), ('outer', 4000)]


def test_time_between_stages_is_charged_to_none(clock: list[float]) -> None:
    timer = StageTimer(CPU)
    with timer.running():
        for name in ('first', 'second'):
            clock[0] += 5
            with stage(name):
                clock[0] += 1
    assert list(timer.stage_ms().items()) == [('first', 1000), ('second', 1000)]


def test_a_stage_that_fails_is_charged_and_left(clock: list[float]) -> None:
    timer = StageTimer(CPU)
    with timer.running():
        with pytest.raises(ZeroDivisionError), stage('broken'):
            clock[0] += 1
            raise ZeroDivisionError
        with stage('next'):
            clock[0] += 2
    assert timer.stage_ms() == {'broken': 1000, 'next': 2000}


def test_stages_of_other_threads_and_outside_a_frame_are_not_ours(clock: list[float]) -> None:
    def work() -> None:
        with stage('elsewhere'):
            clock[0] += 1

    timer = StageTimer(CPU)
    work()
    with timer.running():
        other = threading.Thread(target=work)
        other.start()
        other.join()
    work()
    assert timer.stage_ms() == {}


def test_a_frame_tells_the_networks_from_the_rest(
    embedded: SemanticFastSam, street: np.ndarray
) -> None:
    stages = embedded(street[::2, ::2]).stage_ms
    assert list(stages) == [
        'upload',
        'preprocess',
        'mask_network',
        'mask_post',
        'dense_network',
        'vote',
        'rasterise',
        'download',
    ]
    assert min(stages.values()) > 0


def test_memory_is_shared_also_where_it_is_read_only() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        tensor = as_tensor(image)
    assert tensor.data_ptr() == image.ctypes.data
    np.testing.assert_array_equal(tensor.numpy(), image)
