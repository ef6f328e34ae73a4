"""Masks that are not cut out must look as if they were."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic_fast_sam_ros.core import masks as painting
from semantic_fast_sam_ros.core.cells import Axis
from semantic_fast_sam_ros.core.prototypes import PrototypeMasks, coarse_size, topmost_of
from semantic_fast_sam_ros.core.types import MaskProposals
from semantic_fast_sam_ros.core.voting import best_of


def drawn(seed: int, count: int, fine: bool = True) -> PrototypeMasks:
    """Draw masks over an image of 23 x 37 pixels, padded on two sides."""
    torch.manual_seed(seed)
    corners = torch.rand(count, 2, 2).sort(1).values * torch.tensor([37.0, 23.0])
    return PrototypeMasks(
        torch.randn(4, 6, 8),
        torch.randn(count, 4),
        corners.flatten(1),
        Axis(23, 4.6 / 23, 0.7),
        Axis(37, 7.4 / 37, 0.3),
        fine,
    )


def test_a_mask_is_where_the_interpolated_sum_is_above_zero() -> None:
    ramp = torch.tensor([[[-1.0, 1.0, 3.0]]])  # above zero right of 0.5 samples
    box = torch.tensor([[0.0, 0.0, 9.0, 2.0]])
    masks = PrototypeMasks(ramp, torch.ones(1, 1), box, Axis(2, 0.5, 0.0), Axis(12, 0.25, 0.0))
    row = [False] * 4 + [True] * 5 + [False] * 3  # pixel 4 lies at 0.625, pixel 3 at 0.375
    assert masks.at((2, 12)).tolist() == [[row, row]]
    assert masks.topmost().tolist() == torch.tensor([row, row]).int().tolist()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10_000), st.integers(0, 9), st.booleans())
def test_the_topmost_masks_are_those_of_the_cut_out_ones(
    seed: int, count: int, fine: bool
) -> None:
    masks = drawn(seed, count, fine)
    found, expected = masks.topmost(), topmost_of(masks.at(masks.size))
    assert (found != expected).sum() <= 1  # a value may be zero but for rounding


def test_masks_that_are_taken_are_those_of_the_index() -> None:
    masks = drawn(1, 5)
    whole = masks.at((10, 16))
    index = torch.tensor([3, 0])
    assert torch.equal(masks.take(index).at((10, 16)), whole[index])
    assert torch.equal(masks.take(index).at((5, 8)), masks.at((5, 8))[index])


def test_areas_and_the_order_by_area_are_those_of_the_cut_out_masks() -> None:
    masks = drawn(2, 6)
    assert torch.equal(masks.areas().long(), masks.at(masks.size).flatten(1).sum(1))
    proposals = MaskProposals(masks, masks.boxes, torch.ones(6))
    sizes = painting.areas(painting.sort_by_area(proposals).masks)
    assert (sizes.diff() <= 0).all()


def test_masks_with_pixels_count_as_filled() -> None:
    masks = drawn(3, 40)
    pixels = masks.at(masks.size).flatten(1).any(1)
    assert bool(masks.filled()[pixels].all())


@pytest.mark.parametrize(
    ('size', 'coarse'), [((480, 640), (120, 160)), ((40, 30), (40, 30)), ((1, 900), (1, 160))]
)
def test_a_coarse_grid_has_the_images_shape(
    size: tuple[int, int], coarse: tuple[int, int]
) -> None:
    assert coarse_size(size, 160) == coarse


@pytest.mark.parametrize('classes', [1, 2, 3, 11, 300])
def test_the_best_class_is_that_of_a_plain_maximum(classes: int) -> None:
    torch.manual_seed(0)
    probabilities = torch.rand(classes, 7, 9)
    probabilities[:, 0, 0] = 0.25  # a tie: the smaller class
    values, numbers = probabilities.max(0)
    found, best = best_of(probabilities.clone())
    assert torch.equal(best.long(), numbers)
    torch.testing.assert_close(found, values, rtol=classes / 2**22, atol=0)
