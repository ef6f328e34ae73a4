"""Time the stages of a frame, from inside the parts that do the work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

_running: ContextVar['StageTimer | None'] = ContextVar('running', default=None)


class StageTimer:
    """Charges the time between two marks to the innermost stage; on CUDA by events, unwaited."""

    def __init__(self, device: torch.device) -> None:
        """Prepare to time work on a device."""
        self._cuda = device.type == 'cuda'
        self._open: list[str] = []
        self._ended: list[str] = []
        self._marks: list[tuple[str, Any]] = []  # what began, and when

    @contextmanager
    def running(self) -> Iterator[None]:
        """Collect what `stage` marks on this thread meanwhile."""
        token = _running.set(self)
        try:
            yield
        finally:
            _running.reset(token)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge the block to a stage, without what stages inside it take."""
        self._open.append(name)
        self._mark()
        try:
            yield
        finally:
            self._ended.append(self._open.pop())
            self._mark()

    def stage_ms(self) -> dict[str, float]:
        """Return milliseconds by stage, in the order in which they first ended."""
        if self._cuda and self._marks:
            self._marks[-1][1].synchronize()
        found = dict.fromkeys(self._ended, 0.0)
        for (name, began), (_, ended) in zip(self._marks, self._marks[1:], strict=False):
            if name:
                found[name] += began.elapsed_time(ended) if self._cuda else 1000 * (ended - began)
        return found

    def _mark(self) -> None:
        if self._cuda:
            now: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            now.record()
        else:
            now = time.perf_counter()
        self._marks.append((self._open[-1] if self._open else '', now))


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Charge the block to a stage of the frame that this thread is at; else do nothing."""
    timer = _running.get()
    if timer is None:
        yield
    else:
        with timer.stage(name):
            yield
