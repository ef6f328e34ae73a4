"""Crops of all masks, one after the other: cut out of an image, their neighbours blurred.

Each function is compiled by numba; see `base/jit.py`.
"""

from typing import Any

import numpy as np

from semantic_fast_sam_ros.core.base.jit import Bools, Bytes, Floats, Ints, compiled

HALF, ONE = np.float32(0.5), np.float32(1)


@compiled
def _mix(first: Any, second: Any, share: float) -> Any:
    return (ONE - share) * np.float32(first) + share * np.float32(second)


@compiled
def halve(source: Any, target: Floats, start: int, stop: int) -> None:
    """Average each 2 x 2 pixels of (h, w, 3), at odd edges what there is, in some target rows."""
    height, width = source.shape[:2]
    for y in range(start, stop):
        upper, lower = 2 * y, min(2 * y + 1, height - 1)
        for x in range(target.shape[1]):
            left, right = 2 * x, min(2 * x + 1, width - 1)
            for c in range(3):
                above = _mix(source[upper, left, c], source[upper, right, c], HALF)
                below = _mix(source[lower, left, c], source[lower, right, c], HALF)
                target[y, x, c] = _mix(above, below, HALF)


@compiled
def cut(
    image: Bytes,
    copies: Floats,
    places: Ints,
    levels: Ints,
    boxes: Floats,
    grey: float,
    crops: Floats,
    start: int,
    stop: int,
) -> None:
    """Cut some boxes out, bilinearly.

    Args:
        image: (H, W, 3), level 0.
        copies: (rows, W', 3), the halved copies, one below the other.
        places: (levels, 3) first row, height and width of each level; of level 0 in the image.
        levels: (N,) which copy each box is cut out of.
        boxes: (N, 4) x1 y1 x2 y2 in pixels of the image, half-open.
        grey: what lies outside the image.
        crops: (N, 3, S, S), written to.
        start: first box.
        stop: the one behind the last.
    """
    size = crops.shape[2]
    across, down = np.empty((size, 2), np.int32), np.empty((size, 2), np.int32)
    right_share, lower_share = np.empty(size, np.float32), np.empty(size, np.float32)
    in_columns, in_rows = np.empty(size, np.bool_), np.empty(size, np.bool_)
    for n in range(start, stop):
        first_row, height, width = places[levels[n]]
        gain = HALF ** levels[n]
        x1, y1, x2, y2 = boxes[n]
        _points(x1, x2, image.shape[1], gain, width, across, right_share, in_columns)
        _points(y1, y2, image.shape[0], gain, height, down, lower_share, in_rows)
        if levels[n] == 0:
            _sample(image, 0, across, down, right_share, lower_share, crops[n])
        else:
            _sample(copies, first_row, across, down, right_share, lower_share, crops[n])
        for i in range(size):
            for j in range(size):
                if not (in_rows[i] and in_columns[j]):
                    crops[n, :, i, j] = grey


@compiled
def _points(
    low: float,
    high: float,
    image_length: int,
    gain: float,
    length: int,
    pixels: Ints,
    shares: Floats,
    inside: Bools,
) -> None:
    """Write the two pixels of a copy round each point of a crop, and the second one's share.

    And whether the point lies in the image.
    """
    size, limit = len(pixels), np.float32(length - 1)
    for i in range(size):
        point = low + (np.float32(i) + HALF) / np.float32(size) * (high - low)
        inside[i] = point >= 0 and point < image_length
        place = point * gain - HALF
        before = np.floor(place)
        shares[i] = place - before
        for k in range(2):
            pixel = before + np.float32(k)
            pixel = pixel if pixel > 0 else np.float32(0)  # so where it is no number
            pixels[i, k] = np.int32(pixel if pixel < limit else limit)


@compiled
def _sample(
    source: Any,
    first_row: int,
    across: Ints,
    down: Ints,
    right_share: Floats,
    lower_share: Floats,
    crop: Floats,
) -> None:
    size = crop.shape[1]
    for i in range(size):
        upper, lower = first_row + down[i, 0], first_row + down[i, 1]
        for j in range(size):
            left, right, share = across[j, 0], across[j, 1], right_share[j]
            for c in range(3):
                above = _mix(source[upper, left, c], source[upper, right, c], share)
                below = _mix(source[lower, left, c], source[lower, right, c], share)
                crop[c, i, j] = _mix(above, below, lower_share[i])


@compiled
def blur_outside(crops: Floats, inside: Bools, window: int, start: int, stop: int) -> None:
    """Blur some crops (N, 3, S, S) where they are not inside (N, S, S): see `crops.box_blur`.

    Twice over a square window of odd side, down and across, by sums that run along.
    """
    size = crops.shape[2]
    one, other = np.empty((size, size), np.float32), np.empty((size, size), np.float32)
    sums = np.empty(size, np.float32)
    for n in range(start, stop):
        for c in range(3):
            crop = crops[n, c]
            _average_down(crop, window // 2, sums, one)
            _average_across(one, window // 2, other)
            _average_down(other, window // 2, sums, one)
            _average_across(one, window // 2, other)
            for i in range(size):
                for j in range(size):
                    crop[i, j] = crop[i, j] if inside[n, i, j] else other[i, j]


@compiled
def _average_down(values: Floats, reach: int, sums: Floats, averages: Floats) -> None:
    height, width = values.shape
    sums[:] = 0
    for y in range(min(reach, height)):
        for x in range(width):
            sums[x] += values[y, x]
    for y in range(height):
        if y + reach < height:
            for x in range(width):
                sums[x] += values[y + reach, x]
        if y > reach:
            for x in range(width):
                sums[x] -= values[y - reach - 1, x]
        count = np.float32(min(y + reach, height - 1) - max(y - reach, 0) + 1)
        for x in range(width):
            averages[y, x] = sums[x] / count


@compiled
def _average_across(values: Floats, reach: int, averages: Floats) -> None:
    height, width = values.shape
    for y in range(height):
        total = np.float32(0)
        for x in range(min(reach, width)):
            total += values[y, x]
        for x in range(width):
            if x + reach < width:
                total += values[y, x + reach]
            if x > reach:
                total -= values[y, x - reach - 1]
            count = np.float32(min(x + reach, width - 1) - max(x - reach, 0) + 1)
            averages[y, x] = total / count
