"""Time things that take turns, so that whatever else the machine does meets all of them alike."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def elapsed_ms(action: Callable[[], Any], now: Callable[[], float] = time.perf_counter) -> float:
    """Return the milliseconds that an action takes, by a clock that tells seconds."""
    started = now()
    action()
    return 1000 * (now() - started)


def by_turns(
    actions: Mapping[str, Callable[[], Any]],
    rounds: int,
    warm_up: int = 1,
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the milliseconds of actions that take turns.

    Args:
        actions: by name; called in this order, round after round.
        rounds: that are counted.
        warm_up: rounds before them that are not.
        now: tells seconds; time.thread_time for work of one thread beside other processes.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(warm_up + rounds):
        for name, action in actions.items():
            spent = elapsed_ms(action, now)
            if number >= warm_up:
                times[name].append(spent)
    return times


def median(values: list[float]) -> float:
    """Return the median; of nothing 0."""
    return float(np.median(values)) if values else 0.0


def p95(values: list[float]) -> float:
    """Return the 95th percentile; of nothing 0."""
    return float(np.percentile(values, 95)) if values else 0.0
