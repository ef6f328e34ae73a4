"""A stage that fails costs its frames and nothing else."""

import time
import weakref
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from harness import NAME, Diagnosis, Peer, RunningNode, active_node, photo_message, until
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.core import pipeline
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.networks import memory
from semantic_fast_sam_ros.ros import conversions, frames
from semantic_fast_sam_ros.ros.failures import FATAL_FAILURES
from semantic_fast_sam_ros.ros.outputs import Outputs

STAGES = {
    'decode': (conversions, 'image_to_rgb'),
    'masks': (FastSamGenerator, 'generate'),
    'labels': (ClosedSetLabeller, 'label'),
    'rasterise': (pipeline, 'rasterise'),
    'download': (pipeline, 'result_on_host'),
    'publish': (Outputs, 'publish'),
}
FAILURES = 10
ENDS = ('processed', 'dropped', 'refused', 'failed')
EXHAUSTED = [
    torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 MiB'),
    RuntimeError('MPS backend out of memory (MPS allocated: 5 GB)'),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


class Broken:
    """Stands in for a function: raises so many times, then does what the real one does."""

    def __init__(self, real: Callable[..., object], error: Exception, times: int) -> None:
        self.real, self.error, self.times = real, error, times
        self.raised = 0

    def __get__(self, owner: object, kind: type) -> Callable[..., object]:
        return lambda *given, **named: self(owner, *given, **named)

    def __call__(self, *given: object, **named: object) -> object:
        if self.raised < self.times:
            self.raised += 1
            raise self.error
        return self.real(*given, **named)


@pytest.fixture(scope='module', name='running')
def _running(tiny_models: dict[str, object]) -> Iterator[RunningNode]:
    with active_node(**{name.replace('.', '__'): v for name, v in tiny_models.items()}) as running:
        yield running


def break_stage(
    monkeypatch: pytest.MonkeyPatch, stage: str, error: Exception, times: int = FAILURES
) -> Broken:
    owner, name = STAGES[stage]
    broken = Broken(getattr(owner, name), error, times)
    monkeypatch.setattr(owner, name, broken)
    return broken


def counts(diagnosis: Diagnosis) -> dict[str, int]:
    """Return the counts of the newest diagnostics."""
    values = diagnosis.status.values if diagnosis.status else []
    names = ('received', *ENDS)
    found = {v.key: v.value for v in values}
    return {name: int(found.get(f'frames_{name}', 0)) for name in names}


@pytest.mark.parametrize('stage', STAGES)
def test_ten_failures_of_a_stage_are_told_and_the_next_frame_is_labelled(
    running: RunningNode,
    peer: Peer,
    diagnosis: Diagnosis,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    until(lambda: diagnosis.status, 'diagnostics')
    before = counts(diagnosis)
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera()
    broken = break_stage(monkeypatch, stage, ZeroDivisionError(f'injected into {stage}'))
    rapidly(camera, lambda: broken.raised == FAILURES)
    rapidly(camera, lambda: labels)
    until(
        lambda: counts(diagnosis)['failed'] == before['failed'] + FAILURES,
        f'ten failures in the diagnostics: {before}',
    )
    assert diagnosis.value('last_error') == f'ZeroDivisionError: injected into {stage}'
    until(lambda: settled(counts(diagnosis)), 'every frame accounted for')
    until(lambda: diagnosis.status.level == DiagnosticStatus.OK, 'the warning has gone')
    assert not running.node.failed


def rapidly(camera: object, predicate: Callable[[], object]) -> None:
    """Publish images until the predicate is true."""

    def published() -> object:
        camera.publish(photo_message())
        time.sleep(0.02)
        return predicate()

    until(published, 'an answer to the published images')


def settled(count: dict[str, int]) -> bool:
    """Return whether received = processed + dropped + refused + failed."""
    return count['received'] == sum(count[end] for end in ENDS)


@pytest.mark.parametrize('error', EXHAUSTED, ids=lambda error: type(error).__name__)
def test_exhausted_memory_costs_the_frame_and_is_given_back(
    running: RunningNode,
    peer: Peer,
    diagnosis: Diagnosis,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    freed: list[bool] = []
    monkeypatch.setattr(frames, 'free_memory', lambda: freed.append(True))
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera()
    broken = break_stage(monkeypatch, 'masks', error, times=2)
    rapidly(camera, lambda: broken.raised == 2)
    rapidly(camera, lambda: labels)
    assert len(freed) == 2
    until(lambda: int(diagnosis.value('degradation_step')) > 0, 'a smaller step')
    until(lambda: diagnosis.value('last_error').startswith(type(error).__name__), 'the error')


def test_an_image_of_which_a_network_says_no_numbers_counts_as_failed(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    until(lambda: diagnosis.status, 'diagnostics')
    before = counts(diagnosis)
    labels, camera = peer.collect(Image, f'{NAME}/label_image'), peer.camera()
    weights = running.pipeline._labeller.segmenter._model.decode_head.classifier.weight.data
    healthy = weights.clone()
    weights.fill_(float('nan'))
    rapidly(camera, lambda: counts(diagnosis)['failed'] > before['failed'])
    assert diagnosis.value('last_error').startswith('NetworkError: ')
    assert counts(diagnosis)['refused'] == before['refused']
    weights.copy_(healthy)
    rapidly(camera, lambda: labels)
    assert not running.node.failed


def test_exhausted_memory_is_logged_with_what_to_do_about_it() -> None:
    log = Mock()
    node = Mock(get_logger=lambda: log)
    processor = frames.FrameProcessor(node, Mock(), Mock(), Mock())
    processor.failed(EXHAUSTED[0])
    (text,) = log.error.call_args.args
    assert all(part in text for part in ('20.00 MiB', 'lower masks.image_size', 'clip.batch'))
    assert 'Traceback' not in text


def test_other_errors_are_not_taken_for_exhausted_memory() -> None:
    assert not memory.ran_out(RuntimeError('CUDA error: an illegal memory access'))
    assert not memory.ran_out(ValueError('out of memory'))


def test_tensors_of_the_failed_frame_are_gone_before_caches_are_freed(
    running: RunningNode, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors: list[weakref.ref[torch.Tensor]] = []
    held: list[bool] = []

    def exhausted(generator: FastSamGenerator, image: torch.Tensor) -> None:
        scores = image.float()
        tensors.append(weakref.ref(scores))
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(frames, 'free_memory', lambda: held.append(tensors[-1]() is not None))
    monkeypatch.setattr(FastSamGenerator, 'generate', exhausted)
    rapidly(peer.camera(), lambda: held)
    assert not any(held)


def test_fifty_failures_in_a_row_end_the_node(  # the last one: the node of this module ends
    running: RunningNode, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, camera = peer.collect(Image, f'{NAME}/label_image'), peer.camera()
    rapidly(camera, lambda: labels)  # failures of the test before do not count
    broken = break_stage(monkeypatch, 'masks', ZeroDivisionError('injected'), times=10_000)
    rapidly(camera, lambda: running.node.failed)
    # One more may wait when the node gives up.
    assert FATAL_FAILURES <= broken.raised <= FATAL_FAILURES + 1
    assert not running.context.ok()
