"""Agreement of labels along the flow."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from semantic_fast_sam_ros.evaluation import temporal


def frame(shift: int) -> NDArray[np.uint8]:
    """Make a smooth RGB texture (96, 128) that has moved to the right by so many pixels."""
    noise = np.random.default_rng(2).integers(0, 255, (24, 60, 3), np.uint8)
    large = cv2.resize(noise, (240, 96), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[:, 40 - shift : 168 - shift])


def test_flow_finds_how_far_a_texture_moved() -> None:
    found = temporal.flow(frame(0), frame(3))[16:-16, 16:-16]
    assert np.median(found[..., 0]) == pytest.approx(3, abs=0.3)
    assert np.median(found[..., 1]) == pytest.approx(0, abs=0.3)


def test_labels_that_move_with_the_picture_agree_and_those_that_stay_do_not() -> None:
    moved = temporal.targets(temporal.flow(frame(0), frame(4)), temporal.flow(frame(4), frame(0)))
    first = np.tile((np.arange(128) // 8 % 3).astype(np.int16), (96, 1))
    shares = []
    for second in (np.roll(first, 4, 1), first):
        followed, same = temporal.agreement(first, second, moved)
        assert followed > 0.7 * first.size
        shares.append(same / followed)
    assert shares[0] > 0.97 and 0.4 < shares[1] < 0.6


@pytest.mark.parametrize('seed', range(3))
def test_targets_and_agreement_equal_a_loop_over_pixels(seed: int) -> None:
    random = np.random.default_rng(seed)
    forth = (np.array((2, -1)) + random.uniform(-0.6, 0.6, (9, 14, 2))).astype(np.float32)
    back = (np.array((-2, 1)) + random.uniform(-1.6, 1.6, forth.shape)).astype(np.float32)
    first, second = (random.integers(-1, 3, (9, 14)).astype(np.int16) for _ in range(2))
    moved = temporal.targets(forth, back)
    followed = same = 0
    for y in range(9):
        for x in range(14):
            to_x, to_y = round(float(x + forth[y, x, 0])), round(float(y + forth[y, x, 1]))
            inside = 0 <= to_x < 14 and 0 <= to_y < 9
            loop = np.hypot(*(forth[y, x] + back[to_y, to_x])) if inside else np.inf
            assert moved[y, x] == (to_y * 14 + to_x if loop <= temporal.LOOP_TOLERANCE else -1)
            if moved[y, x] >= 0 and first[y, x] >= 0 and second[to_y, to_x] >= 0:
                followed += 1
                same += int(first[y, x] == second[to_y, to_x])
    assert temporal.agreement(first, second, moved) == (followed, same)
    assert followed > 10
