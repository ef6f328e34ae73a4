"""Rolling figures are those of the frames that went in."""

import time

import pytest

from semantic_fast_sam_ros.ros import statistics
from semantic_fast_sam_ros.ros.statistics import FrameStatistics

pytestmark = pytest.mark.quick


class Clock:
    """Time that a test moves."""

    now = 100.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Put a clock of the test's own into the module."""
    clock = Clock()
    monkeypatch.setattr(statistics, 'time', clock)
    assert time.monotonic() != clock.monotonic()
    return clock


def test_nothing_yet_is_no_rate_and_no_age() -> None:
    fresh = FrameStatistics()
    assert fresh.rate_hz() == 0.0
    assert fresh.age_ms is None
    assert fresh.percentiles_ms() == {}


def test_rate_counts_the_intervals(clock: Clock) -> None:
    rolling = FrameStatistics()
    for _ in range(5):
        rolling.add({}, 1.0)
        clock.now += 0.25
    clock.now -= 0.25
    assert rolling.rate_hz() == pytest.approx(4.0)


def test_rate_falls_when_frames_stop_coming(clock: Clock) -> None:
    rolling = FrameStatistics()
    for _ in range(5):
        rolling.add({}, 1.0)
        clock.now += 0.1
    clock.now += 3.9
    assert rolling.rate_hz() == pytest.approx(1.0)
    clock.now += statistics.RATE_WINDOW_S
    assert rolling.rate_hz() == 0.0


def test_percentiles_are_of_each_stage_and_the_age() -> None:
    rolling = FrameStatistics()
    for value in range(1, 102):
        rolling.add({'masks': float(value)}, 2.0 * value)
    assert rolling.percentiles_ms()['masks'] == pytest.approx((51.0, 96.0))
    assert rolling.percentiles_ms()['age'] == pytest.approx((102.0, 192.0))
    assert rolling.age_ms == 202.0


def test_old_frames_are_forgotten() -> None:
    rolling = FrameStatistics()
    for _ in range(statistics.WINDOW_FRAMES):
        rolling.add({'masks': 1000.0}, 1.0)
    for _ in range(statistics.WINDOW_FRAMES):
        rolling.add({'masks': 1.0}, 1.0)
    assert rolling.percentiles_ms()['masks'] == (1.0, 1.0)
