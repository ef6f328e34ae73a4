"""HOTA of tracks whose answer is known."""

import numpy as np
import pytest
from hota import hota, overlaps

pytestmark = pytest.mark.quick
BOXES = np.array([[0.0, 0, 10, 10], [50, 0, 60, 10]])
IDS = np.array([1, 2])


def test_perfect_tracks_have_all() -> None:
    assert hota([(IDS, BOXES, IDS + 7, BOXES)] * 4) == pytest.approx((1, 1, 1))


def test_ids_that_swap_half_way_through_lose_association_only() -> None:
    images = [(IDS, BOXES, IDS, BOXES)] * 5 + [(IDS, BOXES, IDS[::-1], BOXES)] * 5
    # Each pair of ids meets in 5 of 10 + 10 - 5 boxes.
    assert hota(images) == pytest.approx((np.sqrt(1 / 3), 1, 1 / 3))


def test_what_was_not_found_counts_as_not_detected() -> None:
    images = [(IDS, BOXES, IDS[:1], BOXES[:1])] * 3
    assert hota(images)[1:] == pytest.approx((0.5, 1))


def test_overlap_is_intersection_over_union() -> None:
    found = overlaps(BOXES, np.array([[5.0, 0, 15, 10]]))
    assert found.ravel().tolist() == pytest.approx([1 / 3, 0])
