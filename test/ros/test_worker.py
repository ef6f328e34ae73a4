"""The worker takes the newest item, counts every one, and outlives errors."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import pytest

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.ros.counts import Counts, Fate
from semantic_fast_sam_ros.ros.worker import LatestFrameWorker

pytestmark = pytest.mark.quick

TIMEOUT_S = 10.0
Noted = TypeVar('Noted')


class Bench:
    """A worker whose items wait at a gate, so that a test decides when one is finished."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.done: list[int] = []
        self.errors: list[Exception] = []
        self.changed = threading.Condition()
        self.entered: list[int] = []
        self.worker = LatestFrameWorker[int](self._process, self._fail)

    def _process(self, item: int) -> None:
        with self.changed:
            self.entered.append(item)
            self.changed.notify_all()
        assert self.gate.wait(TIMEOUT_S)
        if item < 0:
            raise (FrameError if item < -100 else ValueError)(f'bad item {item}')
        with self.changed:
            self.done.append(item)
            self.changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self.changed:
            self.errors.append(error)
            self.changed.notify_all()

    def until(self, predicate: Callable[[], bool]) -> None:
        """Wait for the worker to get somewhere."""
        with self.changed:
            assert self.changed.wait_for(predicate, TIMEOUT_S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a started worker; stop it after the test."""
    bench = Bench()
    bench.worker.start()
    yield bench
    bench.gate.set()
    bench.worker.stop()


def test_newest_waiting_item_wins(bench: Bench) -> None:
    bench.worker.submit(1)
    bench.until(lambda: bench.entered == [1])
    for item in (2, 3, 4):
        bench.worker.submit(item)
    bench.gate.set()
    bench.until(lambda: len(bench.done) == 2)
    assert bench.done == [1, 4]
    assert bench.worker.counts.dropped == 2


def test_submit_returns_while_an_item_is_in_work(bench: Bench) -> None:
    bench.worker.submit(1)
    bench.until(lambda: bench.entered == [1])
    bench.worker.submit(2)  # would hang here, as the gate is closed
    assert bench.worker.counts == Counts(received=2)


def test_counts_add_up_after_stop(bench: Bench) -> None:
    bench.gate.set()
    for item in range(300):
        bench.worker.submit({0: -1, 1: -101}.get(item % 7, item))
    bench.worker.stop()
    counts = bench.worker.counts
    assert counts.received == 300
    assert counts.processed == len(bench.done)
    refused = sum(isinstance(error, FrameError) for error in bench.errors)
    assert (counts.refused, counts.failed) == (refused, len(bench.errors) - refused)
    assert counts.ended == 300


def test_error_is_reported_and_the_next_item_processed(bench: Bench) -> None:
    bench.gate.set()
    bench.worker.submit(-5)
    bench.until(lambda: len(bench.errors) == 1)
    bench.worker.submit(6)
    bench.until(lambda: bench.done == [6])
    assert str(bench.errors[0]) == 'bad item -5'
    assert bench.worker.counts.failed == 1


def test_bad_input_is_counted_as_refused_and_an_error_as_failed(bench: Bench) -> None:
    bench.gate.set()
    for item in (-101, -1, -102):
        bench.worker.submit(item, str(item))
    bench.until(lambda: len(bench.errors) == 3)
    bench.worker.stop()
    assert bench.worker.counts == Counts(received=3, refused=2, failed=1)
    assert bench.worker.counts_of('-1') == Counts(received=1, failed=1)


def test_worker_outlives_an_error_while_reporting(capsys: pytest.CaptureFixture[str]) -> None:
    done = threading.Event()

    def process(item: int) -> None:
        if item == 1:
            raise ValueError('first')
        done.set()

    def report(error: Exception) -> None:
        raise RuntimeError(f'cannot report {error}')

    worker = LatestFrameWorker[int](process, report)
    worker.start()
    worker.submit(1)
    deadline = threading.Event()
    while worker.counts.failed == 0:
        assert not deadline.wait(0.005)
    worker.submit(2)
    assert done.wait(TIMEOUT_S)
    worker.stop()
    assert 'cannot report first' in capsys.readouterr().err


def test_stop_finishes_the_item_in_work_and_drops_the_waiting_one(bench: Bench) -> None:
    bench.worker.submit(1)
    bench.until(lambda: bench.entered == [1])
    bench.worker.submit(2)
    stopping = threading.Thread(target=bench.worker.stop)
    stopping.start()
    while bench.worker.counts.dropped == 0:
        assert stopping.is_alive()
    bench.gate.set()
    stopping.join(TIMEOUT_S)
    assert not stopping.is_alive()
    assert bench.done == [1]
    assert bench.worker.counts == Counts(received=2, processed=1, stopped=1)


def test_stopped_worker_drops_what_comes_and_never_processes_it_later(bench: Bench) -> None:
    bench.gate.set()
    bench.worker.stop()
    bench.worker.submit(1)
    assert bench.worker.counts == Counts(received=1, stopped=1)
    bench.worker.start()
    bench.worker.submit(2)
    bench.until(lambda: bool(bench.done))
    assert bench.done == [2]


def test_restart_goes_on_counting(bench: Bench) -> None:
    bench.gate.set()
    for item in (1, 2, 3):
        bench.worker.submit(item)
        bench.until(lambda item=item: item in bench.done)  # type: ignore[misc]
        bench.worker.stop()
        bench.worker.start()
    assert bench.worker.counts.processed == 3


def test_second_start_starts_no_second_thread(bench: Bench) -> None:
    threads = threading.active_count()
    bench.worker.start()
    assert threading.active_count() == threads


def test_stop_ends_the_thread_and_may_be_called_twice(bench: Bench) -> None:
    names = [thread.name for thread in threading.enumerate()]
    assert 'frame_worker' in names
    bench.worker.stop()
    bench.worker.stop()
    assert 'frame_worker' not in [thread.name for thread in threading.enumerate()]


def test_sources_are_served_in_turn_and_each_with_its_newest(bench: Bench) -> None:
    bench.worker.submit(1, 'front')
    bench.until(lambda: bench.entered == [1])
    for item, source in ((2, 'front'), (10, 'left'), (3, 'front'), (20, 'back'), (11, 'left')):
        bench.worker.submit(item, source)
    bench.gate.set()
    bench.until(lambda: len(bench.done) == 4)
    assert bench.done == [1, 3, 11, 20]
    assert bench.worker.counts_of('front').replaced == 1
    assert bench.worker.counts_of('left').replaced == 1
    assert bench.worker.counts.received == 6


def test_fast_source_does_not_starve_a_slow_one() -> None:
    served: list[str] = []
    finished = threading.Event()

    def process(source: str) -> None:
        served.append(source)
        finished.set() if len(served) >= 20 else None
        worker.submit('fast', 'fast')
        if source == 'slow':
            worker.submit('slow', 'slow')

    worker = LatestFrameWorker[str](process, lambda error: None)
    worker.start()
    worker.submit('slow', 'slow')
    assert finished.wait(TIMEOUT_S)
    worker.stop()
    assert served[1:11] == ['fast', 'slow'] * 5


class Together:
    """A worker that takes all sources at once; its gate is closed while the first item is in."""

    def __init__(
        self, outcomes: Callable[[int], Fate | Exception], interval_s: float = 0.0
    ) -> None:
        self.gate, self.entered = threading.Event(), threading.Event()
        self.alone: list[int] = []
        self.passes: list[list[int]] = []
        self.errors: list[Exception] = []
        self.together = True
        self._outcomes = outcomes
        self.worker = LatestFrameWorker[int](
            self._process,
            self.errors.append,
            lambda: interval_s,
            process_all=self._process_all,
            together=lambda: self.together,
        )
        self.worker.start()

    def _process(self, item: int) -> None:
        self.alone.append(item)
        self.entered.set()
        assert self.gate.wait(TIMEOUT_S)

    def _process_all(self, items: Sequence[int]) -> list[Fate | Exception]:
        self.passes.append(list(items))
        return [self._outcomes(item) for item in items]

    def waiting(self, **items: int) -> None:
        """Let one item be in work, these wait, all be done."""
        self.worker.submit(0, 'first')
        assert self.entered.wait(TIMEOUT_S)
        self.submit(**items)
        self.gate.set()
        self.until_ended(1 + len(items))

    def submit(self, **items: int) -> None:
        """Submit items by source."""
        for source, item in items.items():
            self.worker.submit(item, source)

    def until_ended(self, count: int) -> None:
        """Wait until so many items are accounted for."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.worker.counts.ended < count:
            assert time.monotonic() < deadline
            time.sleep(0.002)


Start: TypeAlias = Callable[..., Together]


@pytest.fixture
def together() -> Iterator[Start]:
    """Give a function that starts such a worker; stop it after the test."""
    started: list[Together] = []

    def start(outcomes: Callable[[int], Fate | Exception], interval_s: float = 0.0) -> Together:
        started.append(Together(outcomes, interval_s))
        return started[-1]

    yield start
    for bench in started:
        bench.gate.set()
        bench.worker.stop()


def test_sources_that_wait_are_taken_together_and_one_alone_is_not_kept_waiting(
    together: Start,
) -> None:
    bench = together(lambda item: Fate.PROCESSED)
    bench.waiting(front=1, left=2, back=3)
    assert (bench.alone, bench.passes) == ([0], [[1, 2, 3]])
    assert bench.worker.counts == Counts(received=4, processed=4)


def test_sources_are_served_in_turn_where_they_are_not_wanted_together(together: Start) -> None:
    bench = together(lambda item: Fate.PROCESSED)
    bench.together = False
    bench.waiting(front=1, left=2)
    assert (bench.alone, bench.passes) == ([0, 1, 2], [])


def test_outcomes_of_a_pass_are_counted_for_their_own_source(together: Start) -> None:
    outcomes = {1: FrameError('bad'), 2: Fate.PROCESSED, 3: ValueError('odd'), 4: Fate.IDLE}
    bench = together(lambda item: outcomes[item])
    bench.waiting(a=1, b=2, c=3, d=4)
    assert bench.worker.counts_of('a') == Counts(received=1, refused=1)
    assert bench.worker.counts_of('b') == Counts(received=1, processed=1)
    assert bench.worker.counts_of('c') == Counts(received=1, failed=1)
    assert bench.worker.counts_of('d') == Counts(received=1, idle=1)
    assert bench.errors == [outcomes[1], outcomes[3]]


def test_error_of_a_whole_pass_falls_on_each_of_its_items(together: Start) -> None:
    def fail(item: int) -> Fate:
        raise ValueError('the pass')

    bench = together(fail)
    bench.waiting(front=1, left=2)
    assert bench.worker.counts == Counts(received=3, processed=1, failed=2)
    assert [str(error) for error in bench.errors] == ['the pass'] * 2


def test_interval_holds_back_each_source_of_a_pass(together: Start) -> None:
    bench = together(lambda item: Fate.PROCESSED, 3600.0)
    bench.waiting(front=1, left=2)
    bench.submit(front=3, left=4, back=5)
    bench.until_ended(4)
    assert (bench.alone, bench.passes) == ([0, 5], [[1, 2]])


def test_fate_that_the_work_returns_is_counted() -> None:
    done = threading.Event()
    fates = iter([Fate.OLD, Fate.IDLE, Fate.SKIPPED, Fate.PROCESSED, None])

    def process(item: int) -> Fate | None:
        if item == 4:
            done.set()
        return next(fates)

    worker = LatestFrameWorker[int](process, lambda error: None)
    worker.start()
    for item in range(5):
        worker.submit(item, str(item))
    assert done.wait(TIMEOUT_S)
    worker.stop()
    assert worker.counts == Counts(received=5, processed=2, old=1, idle=1, skipped=1)
    assert worker.counts.dropped == 3


def test_interval_holds_an_item_back_and_takes_the_newest_then() -> None:
    started: list[int] = []
    worker = LatestFrameWorker[int](started.append, lambda error: None, lambda: 0.2)
    worker.start()
    number = 0
    before = time.monotonic()
    deadline = time.monotonic() + TIMEOUT_S
    while len(started) < 3:
        number += 1
        worker.submit(number)
        assert time.monotonic() < deadline
        time.sleep(0.005)
    worker.stop()
    assert time.monotonic() - before >= 0.4
    assert started == sorted(started)
    assert worker.counts.replaced > 0


def test_interval_holds_back_only_its_own_source() -> None:
    done: list[str] = []
    both = threading.Event()

    def process(item: str) -> None:
        done.append(item)
        both.set() if len(done) == 2 else None

    worker = LatestFrameWorker[str](process, lambda error: None, lambda: 3600.0)
    worker.start()
    worker.submit('front', 'front')
    worker.submit('front again', 'front')
    worker.submit('left', 'left')
    assert both.wait(TIMEOUT_S)
    worker.stop()
    assert done[-1] == 'left'


def test_worker_can_stop_itself() -> None:
    stopped = threading.Event()

    def process(item: int) -> None:
        worker.stop()
        stopped.set()

    worker = LatestFrameWorker[int](process, lambda error: None)
    worker.start()
    worker.submit(1)
    assert stopped.wait(TIMEOUT_S)
    worker.stop()
    assert worker.counts.received == 1


class InTwoParts:
    """A worker whose items have a rest, which waits at a gate; negative ones fail in it."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[int] = []
        self.finished: list[int] = []
        self.errors: list[Exception] = []
        self.changed = threading.Condition()
        self.worker = LatestFrameWorker[int](self._process, self._failed)
        self.worker.start()

    def _process(self, item: int) -> Callable[[], Fate]:
        self._note(self.begun, item)
        return lambda: self._rest(item)

    def _rest(self, item: int) -> Fate:
        assert self.gate.wait(TIMEOUT_S)
        if item < 0:
            raise ValueError(f'bad item {item}')
        self._note(self.finished, item)
        return Fate.PROCESSED

    def _failed(self, error: Exception) -> None:
        self._note(self.errors, error)

    def _note(self, notes: list[Noted], value: Noted) -> None:
        with self.changed:
            notes.append(value)
            self.changed.notify_all()

    def until(self, predicate: Callable[[], bool]) -> None:
        """Wait for the worker to get somewhere."""
        with self.changed:
            assert self.changed.wait_for(predicate, TIMEOUT_S)


@pytest.fixture
def in_two_parts() -> Iterator[InTwoParts]:
    """Give such a worker, started; stop it after the test."""
    bench = InTwoParts()
    yield bench
    bench.gate.set()
    bench.worker.stop()


def test_next_item_begins_beside_the_rest_of_the_one_before_and_no_third(
    in_two_parts: InTwoParts,
) -> None:
    bench = in_two_parts
    for item in (1, 2):
        bench.worker.submit(item)
        bench.until(lambda item=item: item in bench.begun)  # type: ignore[misc]
    bench.worker.submit(3)
    assert (bench.begun, bench.finished) == ([1, 2], [])
    assert bench.worker.counts == Counts(received=3)
    bench.gate.set()
    bench.until(lambda: len(bench.finished) == 3)
    assert bench.finished == [1, 2, 3]


def test_error_in_the_rest_is_counted_and_reported(in_two_parts: InTwoParts) -> None:
    bench = in_two_parts
    bench.gate.set()
    bench.worker.submit(-5, 'front')
    bench.until(lambda: len(bench.errors) == 1)
    assert str(bench.errors[0]) == 'bad item -5'
    assert bench.worker.counts_of('front') == Counts(received=1, failed=1)


def test_stop_lets_the_rest_finish(in_two_parts: InTwoParts) -> None:
    bench = in_two_parts
    bench.worker.submit(1)
    bench.until(lambda: bench.begun == [1])
    stopping = threading.Thread(target=bench.worker.stop)
    stopping.start()
    bench.gate.set()
    stopping.join(TIMEOUT_S)
    assert not stopping.is_alive()
    assert bench.finished == [1]
    assert bench.worker.counts == Counts(received=1, processed=1)


def test_rest_can_stop_the_worker() -> None:
    stopped = threading.Event()

    def rest() -> None:
        worker.stop()
        stopped.set()

    worker = LatestFrameWorker[int](lambda item: rest, lambda error: None)
    worker.start()
    worker.submit(1)
    assert stopped.wait(TIMEOUT_S)


def test_pass_does_not_overtake_the_rest_of_the_item_before() -> None:
    gate, begun, order = threading.Event(), threading.Event(), list[str]()

    def rest() -> None:
        assert gate.wait(TIMEOUT_S)
        order.append('rest')

    def process(item: int) -> Callable[[], None]:
        begun.set()
        assert waiting.wait(TIMEOUT_S)
        return rest

    def process_all(items: Sequence[int]) -> list[Fate]:
        order.append('pass')
        return [Fate.PROCESSED] * len(items)

    waiting = threading.Event()
    worker = LatestFrameWorker[int](
        process, lambda error: None, process_all=process_all, together=lambda: True
    )
    worker.start()
    worker.submit(0, 'first')
    assert begun.wait(TIMEOUT_S)
    worker.submit(1, 'front')
    worker.submit(2, 'left')
    waiting.set()
    gate.set()
    deadline = time.monotonic() + TIMEOUT_S
    while worker.counts.ended < 3:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    worker.stop()
    assert order == ['rest', 'pass']
