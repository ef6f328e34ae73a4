"""The step of degradation follows a simulated slow stage, settles, and goes back."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.ros.budget import LAST, PATIENCE_S, STEPS, Budget, degraded, describe

pytestmark = pytest.mark.quick

COST_MS = (150.0, 140.0, 110.0, 80.0, 55.0)  # of a frame at each step, alone on the machine
CAMERA_S = 1 / 30


def simulate(
    load: Callable[[float], float],
    seconds: float,
    target_hz: float = 10.0,
    cameras: tuple[str, ...] = ('',),
) -> list[tuple[float, int]]:
    """Return when the step changed, and to what, under a load that multiplies the costs."""
    budget, noise, changes, now_s = Budget(), random.Random(0), [(0.0, 0)], 0.0
    while now_s < seconds:
        for camera in cameras:
            frame_ms = COST_MS[budget.step] * load(now_s) * noise.uniform(0.9, 1.1)
            now_s += max(frame_ms / 1000, CAMERA_S)
            step = budget.observe(camera, frame_ms, target_hz, now_s)
            if step != changes[-1][1]:
                changes.append((now_s, step))
    return changes


def steps(changes: list[tuple[float, int]]) -> list[int]:
    """Return the steps in order."""
    return [step for _, step in changes]


def test_fast_enough_frames_change_nothing() -> None:
    assert simulate(lambda now: 0.6, 600) == [(0.0, 0)]


def test_slow_stage_is_met_within_ten_seconds_by_the_first_step_that_holds_the_rate() -> None:
    changes = simulate(lambda now: 1.0, 60)
    assert steps(changes) == [0, 1, 2, 3]
    assert changes[-1][0] < 10


def test_constant_load_makes_it_try_ever_more_rarely() -> None:
    changes = simulate(lambda now: 1.0, 3600)[4:]
    tries = [now for now, step in changes if step == 2]
    assert set(steps(changes)) == {2, 3}
    assert tries[0] > PATIENCE_S and len(tries) <= 7
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert all(later > 1.5 * earlier for earlier, later in pairwise(waits[:4]))


@pytest.mark.parametrize('period_s', [3.0, 7.0, 20.0])
def test_load_that_comes_and_goes_does_not_make_it_oscillate(period_s: float) -> None:
    changes = simulate(lambda now: 1.0 if now // period_s % 2 else 0.85, 300)
    assert len(changes) <= 12


def test_eased_load_gives_the_settings_back_within_fifteen_seconds() -> None:
    changes = simulate(lambda now: 1.0 if now < 30 else 0.5, 60)
    assert steps(changes) == [0, 1, 2, 3, 2, 1, 0]
    assert changes[4][0] > 30 and changes[-1][0] < 45


def test_short_load_is_forgotten_after_the_patience() -> None:
    changes = simulate(lambda now: 3.0 if 10 < now < 14 else 0.6, 120)
    assert steps(changes) == [0, 1, 0]
    assert changes[-1][0] < 14 + PATIENCE_S + 10


def test_single_slow_frames_change_nothing() -> None:
    budget = Budget()
    for number in range(1000):
        frame_ms = 300.0 if number % 20 == 0 else 60.0
        assert budget.observe('', frame_ms, 10.0, number * 0.07) == 0


def test_hopeless_load_ends_at_the_last_step_and_is_told() -> None:
    budget, now_s = Budget(), 0.0
    for _ in range(200):
        now_s += 0.5
        budget.observe('', 500.0, 10.0, now_s)
    assert budget.step == LAST
    assert budget.exceeded
    assert budget.mean_ms == pytest.approx(500.0)


def test_rate_is_held_for_each_of_two_cameras() -> None:
    assert steps(simulate(lambda now: 0.6, 60, 10.0, ('front',))) == [0]
    assert steps(simulate(lambda now: 0.6, 60, 10.0, ('front', 'left')))[-1] == 3


def test_target_of_zero_gives_the_settings_back_at_once() -> None:
    budget = Budget()
    for number in range(100):
        budget.observe('', 500.0, 10.0, 0.5 * number)
    assert budget.step == LAST
    assert budget.observe('', 500.0, 0.0, 51.0) == 0
    assert budget.observe('', 500.0, 10.0, 52.0) == 0


@pytest.mark.parametrize('target_hz', [0.0, 10.0])
def test_memory_that_ran_out_takes_a_step_for_a_minute(target_hz: float) -> None:
    budget, now_s, seen = Budget(), 100.0, []
    budget.relieve(now_s)
    assert budget.relieved(now_s)
    while now_s < 100 + 2 * PATIENCE_S:
        now_s += 0.5
        seen.append((now_s, budget.observe('', 20.0, target_hz, now_s)))
    assert all(step == 1 for now, step in seen if now < 100 + PATIENCE_S)
    assert seen[-1][1] == 0


def test_memory_that_runs_out_after_a_step_down_takes_no_other_steps_time_for_the_next() -> None:
    budget, now_s = Budget(), 0.0
    while now_s < PATIENCE_S / 2 or budget.step == 1:  # left, and tried again in vain: it waits
        now_s += 0.5  # twice as long for the next try
        budget.observe('', 50.0 if budget.step else 500.0, 10.0, now_s)
    while budget.step == 0:
        now_s += 0.5
        budget.observe('', 500.0, 10.0, now_s)
    budget.relieve(now_s)  # before a window of the step that it has just gone to
    relieved_s, seen = now_s, []
    while now_s < relieved_s + PATIENCE_S + 15:
        now_s += 0.5
        seen.append(budget.observe('', 20.0, 10.0, now_s))
    assert seen[0] == 2
    assert seen[-1] < 2


def test_steps_give_up_more_and_more_of_the_settings_and_leave_the_rest_alone() -> None:
    config = from_values({'masks.max_masks': 100, 'masks.image_size': 640, 'vote.mode': 'hard'})
    taken = [degraded(config, step) for step in range(LAST + 1)]
    assert taken[0] is config
    assert [c.masks.max_masks for c in taken] == [100, 50, 50, 50, 50]
    assert [c.masks.image_size for c in taken] == [640, 640, 480, 320, 320]
    assert all(c.vote == config.vote and c.output == config.output for c in taken)
    assert [s.label_every for s in STEPS] == [1, 1, 1, 1, 2]


def test_smallest_settings_stay_valid_at_every_step() -> None:
    config = from_values({'masks.max_masks': 1, 'masks.image_size': 32})
    assert degraded(config, LAST).masks == config.masks


def test_step_is_described_with_the_figures_it_comes_to() -> None:
    assert describe(Config(), 0) == 'none'
    assert describe(Config(), 1) == 'step 1 of 4: at most 50 masks'
    assert describe(Config(), 4).endswith('masks.image_size 224, labels from one image in 2')
