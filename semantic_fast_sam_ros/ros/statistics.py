"""What the node tells of itself: rate, latency percentiles, counts, errors."""

import threading
import time
from collections import deque

import numpy as np

WINDOW_FRAMES = 200
RATE_WINDOW_S = 5.0


class FrameStatistics:
    """Rolling figures of the last frames; written by the worker, read by the executor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, deque[float]] = {}
        self._finished: deque[float] = deque(maxlen=WINDOW_FRAMES)
        self.age_ms: float | None = None
        self.unlabelled_share: float | None = None  # of the newest frame's pixels
        self.last_error = ''

    def add(self, stage_ms: dict[str, float], age_ms: float) -> None:
        """Record a published frame: its stages, and its age when it went out."""
        with self._lock:
            self._finished.append(time.monotonic())
            self.age_ms = age_ms
            for name, value in {**stage_ms, 'age': age_ms}.items():
                self._stages.setdefault(name, deque(maxlen=WINDOW_FRAMES)).append(value)

    def rate_hz(self) -> float:
        """Return the frames a second over the last five seconds."""
        now = time.monotonic()
        with self._lock:
            recent = [t for t in self._finished if now - t <= RATE_WINDOW_S]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], now - recent[-1], 1e-6)

    def percentiles_ms(self) -> dict[str, tuple[float, float]]:
        """Return the median and the 95th percentile of each stage."""
        with self._lock:
            stages = {name: list(values) for name, values in self._stages.items()}
        found = {name: np.percentile(values, (50, 95)) for name, values in stages.items()}
        return {name: (float(median), float(p95)) for name, (median, p95) in found.items()}
