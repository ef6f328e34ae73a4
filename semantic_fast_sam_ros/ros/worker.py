"""One slot, newest wins: the thread between a camera that does not wait and slower networks."""

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar('Item')


@dataclass(frozen=True)
class Counts:
    """What became of the frames: received = processed + dropped + failed + those in work."""

    received: int = 0
    processed: int = 0
    dropped: int = 0  # replaced by a newer one, or there while the worker stopped
    failed: int = 0  # refused, or ended by an error


class LatestFrameWorker(Generic[Item]):
    """Processes the newest item on a thread of its own; older waiting ones are dropped."""

    def __init__(
        self, process: Callable[[Item], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Name what to do with an item and with an exception that it raised."""
        self._process = process
        self._on_error = on_error
        self._changed = threading.Condition()
        self._slot: Item | None = None
        self._running = False
        self._thread: threading.Thread | None = None
        self._received = self._processed = self._dropped = self._failed = 0

    @property
    def counts(self) -> Counts:
        """What became of the items so far."""
        with self._changed:
            return Counts(self._received, self._processed, self._dropped, self._failed)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._changed:
            if self._running:
                return
            self._running = True
        self._thread = threading.Thread(target=self._run, name='frame_worker', daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Put an item into the slot; whatever waits there is dropped. Returns at once.

        A worker that is stopped drops the item: after a restart it would be an old one.
        """
        with self._changed:
            self._received += 1
            if not self._running:
                self._dropped += 1
                return
            self._dropped += self._slot is not None
            self._slot = item
            self._changed.notify()

    def stop(self) -> None:
        """Finish the item in work, drop the waiting one, end the thread."""
        with self._changed:
            self._running = False
            self._dropped += self._slot is not None
            self._slot = None
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while (item := self._take()) is not None:
            try:
                self._process(item)
            except Exception as error:  # the thread must not die silently
                with self._changed:
                    self._failed += 1
                self._report(error)
            else:
                with self._changed:
                    self._processed += 1

    def _report(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:  # nor may it die of the report
            traceback.print_exc()

    def _take(self) -> Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or not self._running)
            item, self._slot = self._slot, None
            return item if self._running else None
