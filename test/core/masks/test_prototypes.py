"""Masks that are not cut out must look as if they were."""

import pytest
import torch
import torch.nn.functional as functional
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.masks import painting as painting
from semantic_fast_sam_ros.core.masks.prototypes import PrototypeMasks, topmost_of
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.resampling import Axis
from semantic_fast_sam_ros.core.open_vocabulary.crops import cut_masks


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


def test_areas_and_the_order_by_area_are_about_those_of_the_cut_out_masks() -> None:
    masks = drawn(2, 6)
    pixels = masks.at(masks.size).flatten(1).sum(1)
    sample = 1 / (masks.rows.step * masks.columns.step)  # pixels round each one
    borders = 2 * (masks.prototypes.shape[1] + masks.prototypes.shape[2]) * sample
    assert ((masks.areas() - pixels).abs() <= borders / 2).all()
    proposals = MaskProposals(masks, masks.boxes, torch.ones(6))
    sizes = painting.areas(painting.largest_first(proposals, 1.0).shapes)
    assert (sizes.diff() <= 0).all()


def test_the_area_of_a_full_box_is_the_boxs() -> None:
    everywhere = torch.ones(1, 3, 4)
    boxes = torch.tensor([[0.0, 0.0, 16.0, 12.0], [2.0, 3.0, 9.0, 12.0], [0.5, 0.0, 1.0, 1.0]])
    rows, columns = Axis(12, 0.25, 0.0), Axis(16, 0.25, 0.0)
    masks = PrototypeMasks(everywhere, torch.ones(3, 1), boxes, rows, columns)
    assert masks.areas().tolist() == [192.0, 63.0, 0.5]


def test_masks_with_pixels_count_as_filled() -> None:
    masks = drawn(3, 40)
    pixels = masks.at(masks.size).flatten(1).any(1)
    assert bool(masks.filled()[pixels].all())


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 3, 11, 300]))
def test_the_most_likely_class_is_that_of_a_softmax_at_image_size(seed: int, classes: int) -> None:
    torch.manual_seed(seed)
    logits = 3 * torch.randn(classes, 5, 7)
    for size in ((5, 7), (20, 28), (11, 40), (3, 4)):
        scores = functional.interpolate(logits[None], size, mode='bilinear')[0].softmax(0)
        probability, best = voting.most_likely(logits, size)
        torch.testing.assert_close(probability, scores.amax(0))
        torch.testing.assert_close(scores.gather(0, best[None].long())[0], scores.amax(0))


def test_a_tie_goes_to_the_smaller_class_and_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = torch.zeros(3, 4, 5)
    logits[0, 2] = -1.0
    logits[:, 3, 1] = -100.0  # none is likely, all are alike
    probability, best = voting.most_likely(logits, (8, 5))
    assert best[:3].eq(0).all() and best[5].eq(1).all()
    monkeypatch.setattr(jit, 'BAND', 1)
    for whole, parts in zip((probability, best), voting.most_likely(logits, (8, 5)), strict=True):
        assert torch.equal(whole, parts)


def test_crops_of_masks_are_those_of_the_cut_out_ones() -> None:
    masks = drawn(4, 12)
    low = 30 * torch.rand(12, 2) - 5  # some reach out of the image
    boxes = torch.cat([low, low + 1 + 20 * torch.rand(12, 2)], 1)
    for size in (5, 16):
        found = cut_masks(masks, boxes, size)
        expected = cut_masks(masks.at(masks.size), boxes, size)
        assert expected.any() and not expected.all()
        assert (found != expected).sum() <= 1  # a value may be zero but for rounding
