"""Reading, labelling and writing at the same time, in order, with few items under way."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Item = TypeVar('Item')
Done = TypeVar('Done')
QUEUE_ITEMS = 4  # between two stages
POLL_S = 0.2
_END = object()


class Stages(Generic[Item, Done]):
    """Three stages: one thread reads, some work, one writes."""

    def __init__(
        self,
        source: Iterable[Item],
        work: Callable[[Item], Done],
        sink: Callable[[Done], None],
        stop: threading.Event,
        workers: int = 1,
    ) -> None:
        """Prepare; `stop` ends the run after the items in work, which are still written."""
        self._source, self._work, self._sink, self._stop = source, work, sink, stop
        self._workers = workers
        self._read: queue.Queue[Any] = queue.Queue(QUEUE_ITEMS)
        self._worked: queue.Queue[Any] = queue.Queue(QUEUE_ITEMS)
        self._abort = threading.Event()
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Work until the source ends or `stop` is set; raises the first error of any stage."""
        reader = threading.Thread(target=self._guard, args=(self._reading,), name='bag reader')
        writer = threading.Thread(target=self._guard, args=(self._writing,), name='bag writer')
        reader.start()
        writer.start()
        try:
            self._guard(self._working)
        finally:
            if self._errors:
                self._abort.set()
            reader.join()
            writer.join()
        if self._errors:
            raise self._errors[0]

    def _guard(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:  # handed to the caller's thread by run()
            self._errors.append(error)
            self._abort.set()

    def _reading(self) -> None:
        for item in self._source:
            if self._stop.is_set() or not self._put(self._read, item):
                break
        self._put(self._read, _END)

    def _working(self) -> None:
        under_way: deque[Future[Done]] = deque()
        with ThreadPoolExecutor(self._workers, 'bag worker') as pool:
            while (item := self._get(self._read)) is not _END:
                # Once stopped, the queue is only emptied: the reader may be waiting to fill it.
                if self._stop.is_set():
                    continue
                under_way.append(pool.submit(self._work, item))
                if len(under_way) == self._workers:
                    self._put(self._worked, under_way.popleft().result())
            for future in under_way:
                self._put(self._worked, future.result())
        self._put(self._worked, _END)

    def _writing(self) -> None:
        while (item := self._get(self._worked)) is not _END:
            self._sink(item)

    def _put(self, target: 'queue.Queue[Any]', item: object) -> bool:
        while not self._abort.is_set():
            try:
                target.put(item, timeout=POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def _get(self, source: 'queue.Queue[Any]') -> Any:
        while not self._abort.is_set():
            try:
                return source.get(timeout=POLL_S)
            except queue.Empty:
                continue
        return _END
