"""One slot a camera, newest wins: the thread between cameras and slower networks."""

import threading
import time
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

from semantic_fast_sam_ros.ros.counts import DROPPED, Counts, Fate, Ledger

Item = TypeVar('Item')


class LatestFrameWorker(Generic[Item]):
    """Processes the newest item of each source on a thread of its own; older waiting ones drop.

    Sources whose items wait are served in turn.
    """

    def __init__(
        self,
        process: Callable[[Item], Fate | None],
        on_error: Callable[[Exception], None],
        interval_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Name the work.

        Args:
            process: what to do with an item; returns its fate, None is PROCESSED.
            on_error: what to do with an exception that it raised.
            interval_s: least time between the starts of two items of one source.
        """
        self._process = process
        self._on_error = on_error
        self._interval_s = interval_s
        self._changed = threading.Condition()
        # In order of waiting: a newer item takes the place of the one that it replaces.
        self._waiting: dict[str, Item] = {}
        self._not_before: dict[str, float] = {}
        self._ledger = Ledger()
        self._running = False
        self._thread: threading.Thread | None = None

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
        """Start the thread, unless it runs."""
        with self._changed:
            if self._running:
                return
            self._running = True
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
        """Finish the item in work, drop the waiting ones, end the thread."""
        with self._changed:
            self._running = False
            for source in self._waiting:
                self._ledger.end(source, Fate.STOPPED)
            self._waiting.clear()
            self._not_before.clear()
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            source, item = taken
            try:
                fate = self._process(item) or Fate.PROCESSED
            except Exception as error:  # the thread must not die silently
                self._end(source, Fate.of(error))
                self._report(error)
            else:
                self._end(source, fate)

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

    def _take(self) -> tuple[str, Item] | None:
        """Wait for an item that may start; None once the worker is stopped."""
        with self._changed:
            while self._running:
                now = time.monotonic()
                waits = {s: self._not_before.get(s, now) - now for s in self._waiting}
                due = next((source for source, wait in waits.items() if wait <= 0), None)
                if due is not None:
                    self._not_before[due] = now + self._interval_s()
                    return due, self._waiting.pop(due)
                self._changed.wait(min(waits.values(), default=None))
            return None
