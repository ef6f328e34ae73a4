"""One slot a camera, newest wins: the threads between cameras and slower networks."""

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeAlias, TypeVar

from semantic_fast_sam_ros.ros.counts import DROPPED, Counts, Fate, Ledger

Item = TypeVar('Item')
Given = TypeVar('Given')
Result = TypeVar('Result')
Outcome: TypeAlias = Fate | Exception
Rest: TypeAlias = Callable[[], Fate | None]


class LatestFrameWorker(Generic[Item]):
    """Processes the newest item of each source on a thread of its own; older waiting ones drop.

    Sources whose items wait are served in turn, or those that wait together. What is left of an
    item when the next one may begin is done on a second thread, one item's at a time, in order.
    """

    def __init__(
        self,
        process: Callable[[Item], Fate | Rest | None],
        on_error: Callable[[Exception], None],
        interval_s: Callable[[], float] = lambda: 0.0,
        process_all: Callable[[Sequence[Item]], Sequence[Outcome]] | None = None,
        together: Callable[[], bool] = lambda: False,
    ) -> None:
        """Name the work.

        Args:
            process: what to do with an item; returns its fate, None is PROCESSED, or a function
                that does the rest beside the next item's work and returns it.
            on_error: what to do with an exception that it raised.
            interval_s: least time between the starts of two items of one source.
            process_all: what to do with items of several sources at once; returns their fates
                or errors in order.
            together: whether to take the items of all sources that wait at once, for it.
        """
        self._process = process
        self._on_error = on_error
        self._interval_s = interval_s
        self._process_all, self._together = process_all, together
        self._changed = threading.Condition()
        # In order of waiting: a newer item takes the place of the one that it replaces.
        self._waiting: dict[str, Item] = {}
        self._not_before: dict[str, float] = {}
        self._ledger = Ledger()
        self._running = False
        self._thread: threading.Thread | None = None
        self._finisher: ThreadPoolExecutor | None = None
        self._finishing: Future[None] | None = None
        self._finishing_thread: threading.Thread | None = None

    @property
    def counts(self) -> Counts:
        """What became of all items so far."""
        with self._changed:
            return self._ledger.total()

    def counts_of(self, source: str) -> Counts:
        """Return what became of the items of one source."""
        with self._changed:
            return self._ledger.of(source)

    def start(self) -> None:
        """Start the threads, unless they run."""
        with self._changed:
            if self._running:
                return
            self._running = True
        self._finisher = ThreadPoolExecutor(1, 'frame_finisher')
        self._thread = threading.Thread(target=self._run, name='frame_worker', daemon=True)
        self._thread.start()

    def submit(self, item: Item, source: str = '') -> None:
        """Put an item into its source's slot; whatever waits there is dropped. Returns at once.

        A worker that is stopped drops the item: after a restart it would be an old one.
        """
        with self._changed:
            self._ledger.receive(source)
            if not self._running:
                self._ledger.end(source, Fate.STOPPED)
                return
            if source in self._waiting:
                self._ledger.end(source, Fate.REPLACED)
            self._waiting[source] = item
            self._changed.notify()

    def stop(self) -> None:
        """Finish the items in work, drop the waiting ones, end the threads."""
        with self._changed:
            self._running = False
            for source in self._waiting:
                self._ledger.end(source, Fate.STOPPED)
            self._waiting.clear()
            self._not_before.clear()
            self._changed.notify()
        current = threading.current_thread()
        if self._thread is not None and self._thread is not current:
            self._thread.join()
        self._thread = None
        if self._finisher is not None:
            self._finisher.shutdown(wait=self._finishing_thread is not current)
        self._finisher = self._finishing = None

    def _run(self) -> None:
        while taken := self._take():
            self._work(taken)

    def _work(self, taken: dict[str, Item]) -> None:
        outcomes = self._outcomes(list(taken.values()))
        for source, outcome in zip(taken, outcomes, strict=True):
            if callable(outcome):
                self._finish_later(source, outcome)
            else:
                self._settle(source, outcome)

    def _finish_later(self, source: str, rest: Rest) -> None:
        self._let_finish()
        finisher = self._finisher
        if finisher is None:  # the worker was stopped by this very item
            self._finish(source, rest)
        else:
            self._finishing = finisher.submit(self._finish, source, rest)

    def _let_finish(self) -> None:
        """Wait for what is left of the item before: it must not be overtaken."""
        if self._finishing is not None:
            self._finishing.result()

    def _finish(self, source: str, rest: Rest) -> None:
        self._finishing_thread = threading.current_thread()
        self._settle(source, attempt(lambda _: rest(), None))

    def _settle(self, source: str, outcome: Outcome | None) -> None:
        if isinstance(outcome, Exception):
            self._end(source, Fate.of(outcome))
            self._report(outcome)
        else:
            self._end(source, outcome or Fate.PROCESSED)

    def _outcomes(self, items: list[Item]) -> Sequence[Outcome | Rest | None]:
        if len(items) == 1 or self._process_all is None:
            return [attempt(self._process, item) for item in items]
        self._let_finish()
        outcomes = attempt(self._process_all, items)
        return [outcomes] * len(items) if isinstance(outcomes, Exception) else outcomes

    def _end(self, source: str, fate: Fate) -> None:
        with self._changed:
            self._ledger.end(source, fate)
            if fate in DROPPED:  # no work was done: the next one need not wait
                self._not_before.pop(source, None)

    def _report(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:  # nor may it die of the report
            traceback.print_exc()

    def _take(self) -> dict[str, Item]:
        """Wait for an item that may start, or several; none once the worker is stopped."""
        with self._changed:
            while self._running:
                now = time.monotonic()
                waits = {s: self._not_before.get(s, now) - now for s in self._waiting}
                due = [source for source, wait in waits.items() if wait <= 0]
                if due:
                    due = due if len(due) > 1 and self._together() else due[:1]
                    not_before = now + self._interval_s()
                    self._not_before.update(dict.fromkeys(due, not_before))
                    return {source: self._waiting.pop(source) for source in due}
                self._changed.wait(min(waits.values(), default=None))
            return {}


def attempt(do: Callable[[Given], Result], given: Given) -> Result | Exception:
    """Return what a function makes of something, or the exception that it raises.

    Nothing that the traceback reaches holds the exception: it goes, with what its frames hold,
    when the caller lets go.
    """
    try:
        return do(given)
    except Exception as error:  # a thread that works for others must not die silently
        return error
