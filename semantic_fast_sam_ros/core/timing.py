"""Time the stages of a frame."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StageTimer:
    """Collects milliseconds a stage; waits for a GPU, so that each is charged its own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.stage_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            if self._device.type == 'cuda':
                torch.cuda.synchronize(self._device)
            elapsed = 1000 * (time.perf_counter() - started)
            self.stage_ms[name] = self.stage_ms.get(name, 0.0) + elapsed
