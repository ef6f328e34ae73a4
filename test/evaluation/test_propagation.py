"""Causes of wrong pixels."""

import numpy as np
import pytest

from semantic_fast_sam_ros.evaluation import confusion, propagation


def drawn(*rows: str) -> np.ndarray:
    return np.array([[int(c) if c != '.' else -1 for c in row] for row in rows], np.int16)


TRUTH = drawn('000011', '000011', '00.222')
FOUND = drawn('100001', '000022', '002222')
MASKS = np.stack(
    [drawn('000000', '000000', '......') == 0, drawn('....00', '....00', '......') == 0]
)


def test_every_wrong_pixel_has_its_one_cause_by_hand() -> None:
    # The large mask is mostly class 0; the small one above it is class 1.
    causes = propagation.blame(TRUTH, FOUND, MASKS, 3)
    labels, shapes, unmasked = (part.sum() for part in causes)
    assert (labels, shapes, unmasked) == (4, 0, 0)
    # Without the small mask its pixels lie in a mask of another class.
    causes = propagation.blame(TRUTH, FOUND, MASKS[:1], 3)
    assert [int(part.sum()) for part in causes] == [1, 3, 0]
    assert [int(p.sum()) for p in propagation.blame(TRUTH, FOUND, MASKS[:0], 3)] == [0, 0, 4]


@pytest.mark.parametrize('seed', range(5))
def test_causes_add_up_to_the_errors_and_curing_all_is_perfect(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(-1, 4, (11, 17)).astype(np.int16)
    found = random.integers(0, 5, truth.shape).astype(np.int16)  # 4 = none of the classes
    masks = random.random((6, *truth.shape)) < 0.3
    matrix = confusion.confusion_matrix(truth, found, 4)
    causes = propagation.blame(truth, found, masks, 4)
    wrong = matrix.copy()
    wrong[np.arange(4), np.arange(4)] = 0
    np.testing.assert_array_equal(causes.sum(0), wrong)
    won = propagation.gains(matrix, causes)
    np.testing.assert_allclose(confusion.class_iou(matrix) + won['all'], 1)
    for cause in propagation.CAUSES:
        assert (won[cause] >= 0).all() and (won[cause] <= won['all'] + 1e-12).all()


def test_curing_a_cause_scores_as_a_map_with_those_pixels_put_right() -> None:
    matrix = confusion.confusion_matrix(TRUTH, FOUND, 3)
    causes = propagation.blame(TRUTH, FOUND, MASKS[:1], 3)
    named = np.where(MASKS[0] & (TRUTH == 0), 0, FOUND).astype(np.int16)
    expected = confusion.class_iou(confusion.confusion_matrix(TRUTH, named, 3))
    won = propagation.gains(matrix, causes)['labels']
    np.testing.assert_allclose(confusion.class_iou(matrix) + won, expected)
