"""The loops for CPUs must do what torch does on other devices."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_prototypes import drawn

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.closed_set import labeller, voting
from semantic_fast_sam_ros.core.masks import painting
from semantic_fast_sam_ros.core.masks.types import MaskLabels, PixelLabels
from semantic_fast_sam_ros.core.open_vocabulary import crops

seeds = st.integers(0, 10_000)
sizes = st.sampled_from([(23, 37), (6, 8), (9, 5), (1, 1)])
quick = settings(deadline=None, max_examples=25, derandomize=True)


def both(work: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what the loops and what torch makes of the same work."""
    looped = work()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jit, 'suits', lambda device: False)
        return looped, work()


@quick
@given(seeds, st.integers(0, 9), sizes)
def test_masks_are_cut_out_alike(seed: int, count: int, size: tuple[int, int]) -> None:
    found, expected = both(lambda: drawn(seed, count).at(size))
    assert found.shape == expected.shape
    assert (found != expected).sum() <= 1  # a value may be zero but for rounding


@quick
@given(seeds, st.integers(0, 9))
def test_the_topmost_masks_are_the_same(seed: int, count: int) -> None:
    found, expected = both(lambda: drawn(seed, count).topmost())
    assert (found != expected).sum() <= 1


@quick
@given(seeds, st.integers(1, 9), sizes, st.booleans())
def test_votes_are_counted_alike(seed: int, count: int, size: tuple[int, int], fine: bool) -> None:
    shapes = drawn(seed, count, fine)
    torch.manual_seed(seed)
    probabilities = torch.rand(5, *size).softmax(0)
    labels = probabilities.argmax(0)
    pixels = shapes.at(size).flatten(1).sum(1)
    few = 1 / pixels.clamp_min(1)[:, None]  # one pixel more or less
    for work in (
        lambda: voting.hard_votes(drawn(seed, count, fine), labels, 5),
        lambda: voting.soft_votes(drawn(seed, count, fine), probabilities),
    ):
        found, expected = both(work)
        assert ((found - expected).abs() <= 1e-5 + few).all()
        assert found[pixels == 0].eq(0).all()


@quick
@given(seeds, st.integers(0, 6), sizes)
def test_masks_weigh_in_alike(seed: int, count: int, size: tuple[int, int]) -> None:
    torch.manual_seed(seed)
    own = torch.rand(4, *size).softmax(0)
    evidence, trust = torch.randn(count, 4), torch.rand(count)
    found, expected = both(lambda: voting.fuse(drawn(seed, count), own, evidence, trust))
    assert ((found - expected).abs().amax(0) > 1e-5).sum() <= 1


@quick
@given(seeds, st.integers(0, 9), sizes, st.sampled_from([1, 6, 17]))
def test_crops_are_cut_alike(seed: int, count: int, size: tuple[int, int], side: int) -> None:
    torch.manual_seed(seed)
    height, width = size
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    corners = torch.rand(count, 4) * torch.tensor([width, height, width, height])
    boxes = torch.cat([corners[:, :2] - 3, corners[:, :2] + 40 * corners[:, 2:]], 1)
    found, expected = both(lambda: crops.cut(image, boxes, side))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


def test_boxes_that_are_no_numbers_are_cut_somewhere() -> None:
    boxes = torch.tensor([[float('nan')] * 4, [0.0, 0, float('inf'), 1e30], [-1e30, 0, 1, 1]])
    assert crops.cut(torch.zeros((3, 8, 9), dtype=torch.uint8), boxes, 4).shape == (3, 3, 4, 4)


@quick
@given(seeds, st.integers(0, 9), st.sampled_from([1, 5, 64]))
def test_crops_are_blurred_alike(seed: int, count: int, side: int) -> None:
    torch.manual_seed(seed)
    pixels, inside = 255 * torch.rand(count, 3, side, side), torch.rand(count, side, side) > 0.5
    before = pixels.clone()
    found, expected = both(lambda: crops.hide_neighbours(pixels, inside, 'blur', torch.zeros(3)))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)
    assert (pixels == before).all()


@quick
@given(seeds, st.integers(0, 8))
def test_areas_are_the_same(seed: int, count: int) -> None:
    for work in (lambda: drawn(seed, count).areas(), lambda: drawn(seed, count).filled()):
        found, expected = both(work)
        torch.testing.assert_close(found, expected)


@quick
@given(seeds, st.sampled_from([1, 3, 150]), st.sampled_from([(5, 7), (20, 28), (11, 40), (3, 4)]))
def test_pixels_are_labelled_alike(seed: int, classes: int, size: tuple[int, int]) -> None:
    torch.manual_seed(seed)
    probabilities = (3 * torch.randn(classes, 5, 7)).softmax(0)
    ids, minimum = torch.randint(0, 300, (classes,)), torch.rand(classes) / 2
    found, expected = both(lambda: labeller._pixels(probabilities, ids, minimum, size))
    assert (found.class_ids != expected.class_ids).sum() <= 1
    same = found.class_ids == expected.class_ids
    torch.testing.assert_close(found.confidence[same], expected.confidence[same])


def test_very_unlikely_classes_do_not_spoil_a_confidence() -> None:
    logits = torch.tensor([0.0, -1e4, -88.0, -86.0])[:, None, None].expand(4, 2, 3)
    probability, best = voting.most_likely(logits.contiguous(), (2, 3))
    assert probability.eq(1).all() and best.eq(0).all()


def test_pixels_without_a_number_are_unlabelled() -> None:
    probabilities = torch.full((3, 5, 7), torch.nan)
    pixels = labeller._pixels(probabilities, torch.arange(1, 4), torch.zeros(3), (200, 300))
    assert not pixels.class_ids.any()
    assert not pixels.confidence.any()


@quick
@given(seeds, st.integers(0, 8))
def test_painting_is_the_same(seed: int, count: int) -> None:
    torch.manual_seed(seed)
    shapes = drawn(seed, count)
    pixels = PixelLabels(torch.randint(0, 5, shapes.size), torch.rand(shapes.size))
    given_pixels = pixels.class_ids.clone()
    labels = MaskLabels(
        torch.randint(0, 5, (count, 2)), torch.rand(count, 2), torch.rand(count) > 0.3, pixels
    )
    found, expected = both(lambda: painting.rasterise(shapes.at(shapes.size), labels))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, check_dtype=False)
    assert torch.equal(pixels.class_ids, given_pixels)  # what was handed over stays as it was


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_bytes_on_the_host_are_the_same(kind: type) -> None:
    ids = torch.tensor([[0, 1, 255, 7], [3, 0, 2, 9]])
    confidence = torch.tensor([[0.9, 0.0, 1.0, 0.5], [0.001, 0.0, 0.3, 1.0000001]])
    found, expected = both(lambda: painting.to_host(ids, confidence, kind))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert found[1].tolist() == [[0, 1, 255, 128], [1, 0, 76, 255]]


@pytest.mark.parametrize('threads', [1, 2, 3, 16])
def test_bands_are_the_same_for_any_number_of_threads(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, 'get_num_threads', lambda: threads)
    for length, bands in (
        (0, [(0, 0)]),
        (100, [(0, 100)]),
        (101, [(0, 100), (100, 101)]),
        (350, [(0, 100), (100, 200), (200, 300), (300, 350)]),
    ):
        assert jit.in_bands(lambda start, stop: (start, stop), length, 100) == bands


def test_loops_may_have_the_threads_that_torch_leaves() -> None:
    before = torch.get_num_threads()
    with jit.in_place_of_torch(3):
        assert (jit.thread_count(), torch.get_num_threads()) == (3, 1)
        with pytest.raises(ZeroDivisionError), jit.in_place_of_torch(2):
            raise ZeroDivisionError
        assert (jit.thread_count(), torch.get_num_threads()) == (3, 1)
    assert jit.thread_count() == torch.get_num_threads() == before


LABEL = """
import torch
from semantic_fast_sam_ros.core.closed_set import voting
print(voting.most_likely(torch.tensor([[[0.0]], [[1.0]]]), (1, 1))[1].item())
"""


def in_a_process(cache: Path) -> str:
    """Label a pixel with a cache of its own; return the answer."""
    environment = {**os.environ, 'SEMANTIC_FAST_SAM_CACHE': str(cache)}
    environment.pop('NUMBA_CACHE_DIR', None)
    result = subprocess.run(
        [sys.executable, '-c', LABEL], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


@pytest.mark.slow
def test_what_is_compiled_is_kept_in_the_cache_and_may_be_damaged_there(tmp_path: Path) -> None:
    assert in_a_process(tmp_path) == '1'
    kept = [path for path in (tmp_path / 'numba').rglob('*.nb?') if path.is_file()]
    assert {path.suffix for path in kept} == {'.nbi', '.nbc'}
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    assert in_a_process(tmp_path) == '1'


@pytest.mark.slow
def test_a_cache_that_cannot_be_made_costs_time_only(tmp_path: Path) -> None:
    occupied = tmp_path / 'file'
    occupied.touch()
    assert in_a_process(occupied) == '1'
