"""Images cut into regions, whatever data set they come from, and random views of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.images.files import read_image

Regions = NDArray[np.integer]  # (H, W): one number a region, 0 where nothing is labelled
PADDING = 114  # grey level around an image, as where the network is used
MINIMUM_AREA = 50  # pixels of a view; smaller regions are neither target nor background
MAXIMUM_REGIONS = 100  # of one view
SAME = 0.75  # IoU from which regions of two annotators are one target
CELL = 4  # pixels of a cell of the prototypes' grid


@dataclass(frozen=True)
class Example:
    """An image and the ways in which people cut it into regions."""

    image: Path
    cuts: Callable[[], list[Regions]]  # of several persons or levels of detail; all are right


@dataclass(frozen=True)
class View:
    """A part of an image as the network sees it in one step."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    masks: NDArray[np.float32]  # (N, H / 4, W / 4) share of each cell that is the region's
    boxes: NDArray[np.float32]  # (N, 4) centre x, y, width, height as shares of the view
    labelled: NDArray[np.float32]  # (H / 4, W / 4) 0 where nobody said what is there


def view(example: Example, size: tuple[int, int], rng: np.random.Generator) -> View:
    """Return a random view of (width, height), both multiples of 32."""
    image = read_image(example.image)
    place = _placement(image.shape[:2], size, rng)
    inside = _warp(np.ones(image.shape[:2], np.uint8), place, size) > 0
    image = cv2.warpAffine(image, place, size, borderValue=(PADDING,) * 3)
    cuts = [_warp(cut, place, size) for cut in example.cuts()]
    masks, boxes, left_out = _targets(cuts, rng)
    known = (np.max(cuts, axis=0) > 0) & ~left_out | ~inside  # padding holds no region
    pixels = _recoloured(image, rng)
    pixels[~inside] = PADDING
    return View(pixels, masks, boxes, _shares(known))


def _placement(
    shape: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the 2 x 3 matrix from image to view: about the whole image, or nearer or farther."""
    scale = min(size[0] / shape[1], size[1] / shape[0])
    scale *= rng.uniform(0.85, 1.0) if rng.random() < 0.5 else np.exp(rng.uniform(-0.5, 0.45))
    stretch = np.exp(rng.uniform(-0.08, 0.08))
    flip = -1 if rng.random() < 0.5 else 1
    matrix = np.zeros((2, 3))
    for axis, (length, factor) in enumerate(((shape[1], stretch), (shape[0], 1 / stretch))):
        spare = size[axis] - scale * factor * length  # negative: the view is a crop
        start = rng.uniform(min(0, spare), max(0, spare))
        matrix[axis, axis] = scale * factor
        matrix[axis, 2] = start + (scale * factor - 1) / 2  # from pixel centres to pixel centres
    if flip < 0:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size[0] - 1
    return matrix


def _warp(cut: Regions, place: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    return cv2.warpAffine(cut.astype(np.float32), place, size, flags=cv2.INTER_NEAREST)


def _targets(
    cuts: list[NDArray[np.float32]], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return masks, boxes and the pixels of regions that are left out."""
    height, width = cuts[0].shape
    left_out = np.zeros((height, width), bool)
    masks: list[NDArray[np.float32]] = []
    boxes: list[tuple[float, ...]] = []
    for index in rng.permutation(len(cuts)):
        found = []
        for number in np.unique(cuts[index][cuts[index] > 0]):
            region = cuts[index] == number
            if region.sum() < MINIMUM_AREA:
                left_out |= region
            elif not _is_known(share := _shares(region), masks):
                found.append(share)
                x, y, w, h = cv2.boundingRect(region.astype(np.uint8))
                boxes.append(((x + w / 2) / width, (y + h / 2) / height, w / width, h / height))
        masks += found
    chosen = rng.permutation(len(masks))[:MAXIMUM_REGIONS]
    if not len(chosen):
        return (
            np.zeros((0, height // CELL, width // CELL), np.float32),
            np.zeros((0, 4), np.float32),
            left_out,
        )
    return np.stack(masks)[chosen], np.array(boxes, np.float32)[chosen], left_out


def _is_known(mask: NDArray[np.float32], others: list[NDArray[np.float32]]) -> bool:
    """Say whether a region of an earlier cut is about the same."""
    area = mask.sum()
    return any(
        SAME * area < (other_area := other.sum()) < area / SAME
        and (both := np.minimum(mask, other).sum()) >= SAME * (area + other_area - both)
        for other in others
    )


def _shares(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the share of each cell, (H / 4, W / 4)."""
    size = (region.shape[1] // CELL, region.shape[0] // CELL)
    return cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def _recoloured(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change light, contrast and colour; sometimes drop the colour or blur."""
    grey = image.mean(-1, keepdims=True)
    colour = rng.uniform(0.5, 1.5) if rng.random() < 0.9 else 0.0
    tint = rng.uniform(0.9, 1.1, 3)
    contrast, light = rng.uniform(0.6, 1.4), rng.uniform(-30, 30)
    changed = (grey + colour * (image - grey)) * tint
    changed = (changed - 114) * contrast + 114 + light
    changed = np.clip(changed, 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(changed, (3, 3), 0) if rng.random() < 0.1 else changed
