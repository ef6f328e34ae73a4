"""Loops over pixels on a CPU, compiled by numba.

What torch does in many passes over memory that each fills and empties the caches, a loop does in
one. `voting`, `masks` and `prototypes` have the same arithmetic for other devices; tests compare
the two.
"""

import contextlib
import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.weights import cache_folder

# numba would write beside this file, or into a cache folder of its own.
_settings: Any = numba.config
_settings.CACHE_DIR = _settings.CACHE_DIR or str(cache_folder() / 'numba')

Result = TypeVar('Result')
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Shorts = NDArray[np.int16]
Ints = NDArray[np.int32]
# P points over s samples: the samples before and behind each (P,), the latter's share (P,), and
# the first point behind each sample (s + 1,), the last of which is P.
Line = tuple[Ints, Ints, Floats, Ints]

BAND = 48  # rows that one thread takes at a time: some ten times as long as it takes to wake it
LOWEST = np.float32(-87.0)  # below it exp() is no normal float32
LOG2_E = np.float32(1.4426950408889634)
# 2^f for f in [0, 1) by powers of f, within 2e-7 of it.
POWERS = tuple(
    np.float32(p) for p in (1.0, 0.69315308, 0.24015361, 0.055826318, 0.0089893397, 0.0018775767)
)
ONE, BYTE = np.float32(1), np.float32(255)
EXPONENT_BIAS, MANTISSA_BITS = np.int32(127), np.int32(23)


def suits(device: torch.device) -> bool:
    """Say whether tensors on a device are for these loops; else torch does the work."""
    return device.type == 'cpu'


def _compiled(
    function: Callable[..., Result], reordered_sums: bool = False
) -> Callable[..., Result]:
    """Compile on the first call, to run without Python's lock; the result is kept in the cache."""
    fast = {'contract', 'nsz'} | ({'reassoc'} if reordered_sums else set())
    made: Any = numba.njit(nogil=True, error_model='numpy', fastmath=fast)(function)
    # Where no folder can be written to, it is compiled anew at each start.
    with contextlib.suppress(RuntimeError):
        made.enable_caching()
        made._cache = _Forgiving(made._cache)
    compiled: Callable[..., Result] = made
    return compiled


class _Forgiving:
    """A cache that costs time, and no more, where the disk is full or a file was cut off."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *arguments: Any) -> Any:
        with contextlib.suppress(Exception):  # whatever unpickling raises
            return self._cache.load_overload(*arguments)
        return None

    def save_overload(self, *arguments: Any) -> None:
        with contextlib.suppress(Exception):
            self._cache.save_overload(*arguments)


def _summing(function: Callable[..., Result]) -> Callable[..., Result]:
    """Compile likewise, and let sums be taken in any order: several terms at once."""
    return _compiled(function, reordered_sums=True)


def in_bands(work: Callable[[int, int], Result], length: int) -> list[Result]:
    """Call work(start, stop) for bands of a range, by as many threads as torch may use.

    The bands are the same whatever the number of threads, and so are sums over them.

    Returns:
        the results in the bands' order, one at least.
    """
    edges = [*range(0, max(1, length), BAND), length]
    bands = list(itertools.pairwise(edges))
    parts = max(1, min(torch.get_num_threads(), len(bands)))
    cuts = [len(bands) * part // parts for part in range(parts + 1)]

    def in_turn(first: int, last: int) -> list[Result]:
        return [work(start, stop) for start, stop in bands[first:last]]

    others = [_threads().submit(in_turn, *part) for part in itertools.pairwise(cuts[1:])]
    return in_turn(*cuts[:2]) + [result for part in others for result in part.result()]


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), 'kernels')


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not outlive a fork


@numba.njit(inline='always')
def _exp(x: Any) -> Any:
    power = max(x, LOWEST) * LOG2_E
    whole = np.floor(power)
    f = power - whole
    a, b, c, d, e, g = POWERS
    mantissa = a + f * (b + f * (c + f * (d + f * (e + f * g))))
    # 2^whole: the number itself in the bits of a float's exponent.
    bits = np.int32((np.int32(whole) + EXPONENT_BIAS) << MANTISSA_BITS)
    return mantissa * bits.view(np.float32)


@_compiled
def label_rows(
    logits: Floats,
    down: Line,
    across: Line,
    probability: Floats,
    best: Ints,
    start: int,
    stop: int,
) -> None:
    """Write the likeliest class of each pixel of some rows, and its probability.

    Args:
        logits: (C, h, w), interpolated bilinearly.
        down: of the H rows of pixels.
        across: of the W columns.
        probability: (H, W) in (0, 1], written to.
        best: (H, W), written to.
        start: first row.
        stop: the one behind the last.
    """
    classes = logits.shape[0]
    width = len(across[0])
    above = np.empty((classes, width), np.float32)
    below = np.empty((classes, width), np.float32)
    scores = np.empty((classes, width), np.float32)
    highest = np.empty(width, np.float32)
    total = np.empty(width, np.float32)
    upper, lower, shares, _ = down
    held = -1
    for y in range(start, stop):
        if upper[y] != held:
            held = upper[y]
            _widen(logits, held, across, above)
            _widen(logits, lower[y], across, below)
        share = shares[y]
        highest[:] = -np.inf
        for c in range(classes):
            for x in range(width):
                score = above[c, x] + share * (below[c, x] - above[c, x])
                scores[c, x] = score
                better = score > highest[x]  # ties go to the smaller class
                highest[x] = score if better else highest[x]
                best[y, x] = np.int32(c) if better else best[y, x]
        total[:] = 0
        for c in range(classes):
            for x in range(width):
                total[x] += _exp(scores[c, x] - highest[x])
        for x in range(width):
            probability[y, x] = ONE / total[x]


@_compiled
def _widen(logits: Floats, row: int, across: Line, wide: Floats) -> None:
    """Interpolate a row of logits (C, h, w) along the columns, into (C, W)."""
    left, right, shares, _ = across
    for c in range(wide.shape[0]):
        for x in range(wide.shape[1]):
            value = logits[c, row, left[x]]
            wide[c, x] = value + shares[x] * (logits[c, row, right[x]] - value)


@_compiled
def name_rows(
    best: Ints, probability: Floats, ids: Ints, minimum: Floats, start: int, stop: int
) -> None:
    """Replace classes (H, W) by their ids (C,) in some rows, 0 below their minimum (C,).

    Where the id is 0, so becomes the probability (H, W).
    """
    for y in range(start, stop):
        for x in range(best.shape[1]):
            c = best[y, x]
            found = ids[c] if probability[y, x] >= minimum[c] else 0
            best[y, x] = found
            probability[y, x] = probability[y, x] if found else 0


@_compiled
def paint_rows(
    numbers: Shorts,
    ids: Ints,
    scores: Floats,
    class_ids: Ints,
    confidence: Floats,
    start: int,
    stop: int,
) -> None:
    """Write masks' ids and scores (N + 1,) over some rows of pixels (H, W), by mask number (H, W).

    Number 0 leaves a pixel as it is.
    """
    for y in range(start, stop):
        for x in range(numbers.shape[1]):
            n = numbers[y, x]
            class_ids[y, x] = ids[n] if n else class_ids[y, x]
            confidence[y, x] = scores[n] if n else confidence[y, x]


@_compiled
def _runs(
    values: Floats, y: int, box: Ints, down: Line, across: Line, row: Floats, runs: Ints
) -> int:
    """Find the runs of points in one row where interpolated values (h, w) are above zero.

    Between two samples above zero every value is, between two others none.

    Args:
        values: of one mask.
        y: the row of points.
        box: x1 y1 x2 y2, the first and last points of the mask's box, half-open.
        down: of the rows of points.
        across: of the columns.
        row: (w,) scratch.
        runs: (W / 2 + 1, 2), first point of each run and the one behind its last; written to.

    Returns:
        how many there are.
    """
    x1, x2 = box[0], box[2]
    if x1 >= x2 or y < box[1] or y >= box[3]:
        return 0
    upper, lower, share = down[0][y], down[1][y], down[2][y]
    left, _, shares, first = across
    last = left[x2 - 1]
    for i in range(left[x1], min(last + 2, len(row))):
        row[i] = values[upper, i] + share * (values[lower, i] - values[upper, i])
    count, inside = 0, False
    for i in range(left[x1], last + 1):
        begin, end = max(x1, first[i]), min(x2, first[i + 1])
        value, step = row[i], row[min(i + 1, len(row) - 1)] - row[i]
        if (value > 0) == (value + step > 0):
            end = min(begin + 1, end)  # all are as the first
        for x in range(begin, end):
            if (value + shares[x] * step > 0) != inside:
                runs[count, int(inside)] = x
                count += inside
                inside = not inside
    if inside:
        runs[count, 1] = x2
        count += 1
    return count


@_compiled
def cut(
    values: Floats, boxes: Ints, down: Line, across: Line, masks: Bools, start: int, stop: int
) -> None:
    """Cut masks out on a grid of points, in some of its rows.

    Args:
        values: (N, h, w), above zero inside a mask.
        boxes: (N, 4) first and last points of each mask's box: x1 y1 x2 y2, half-open.
        down: of the R rows of points.
        across: of the S columns.
        masks: (N, R, S), False; True is written to it.
        start: first row.
        stop: the one behind the last.
    """
    row, runs = np.empty(values.shape[2], np.float32), _room(masks.shape[2])
    for n in range(len(values)):
        for y in range(max(boxes[n, 1], start), min(boxes[n, 3], stop)):
            for run in range(_runs(values[n], y, boxes[n], down, across, row, runs)):
                masks[n, y, runs[run, 0] : runs[run, 1]] = True


@_compiled
def topmost(
    values: Floats, boxes: Ints, down: Line, across: Line, top: Shorts, start: int, stop: int
) -> None:
    """Write the number of the last mask over each point, from 1, in some rows of (R, S) zeros.

    Other arguments as of `cut`.
    """
    row, runs = np.empty(values.shape[2], np.float32), _room(top.shape[1])
    for n in range(len(values)):
        for y in range(max(boxes[n, 1], start), min(boxes[n, 3], stop)):
            for run in range(_runs(values[n], y, boxes[n], down, across, row, runs)):
                top[y, runs[run, 0] : runs[run, 1]] = n + 1


@_compiled
def count(
    values: Floats,
    boxes: Ints,
    down: Line,
    across: Line,
    labels: Ints,
    classes: int,
    start: int,
    stop: int,
) -> NDArray[np.int64]:
    """Return how many points of some rows have each label (R, S) inside each mask, (N, C).

    Other arguments as of `cut`.
    """
    row, runs = np.empty(values.shape[2], np.float32), _room(labels.shape[1])
    found = np.zeros((len(values), classes), np.int64)
    for n in range(len(values)):
        for y in range(max(boxes[n, 1], start), min(boxes[n, 3], stop)):
            for run in range(_runs(values[n], y, boxes[n], down, across, row, runs)):
                for x in range(runs[run, 0], runs[run, 1]):
                    found[n, labels[y, x]] += 1
    return found


@_summing
def add_up(
    values: Floats, boxes: Ints, down: Line, across: Line, maps: Floats, start: int, stop: int
) -> Floats:
    """Return what maps (C, R, S) sum to over points of some rows inside each mask, (N, C).

    Other arguments as of `cut`.
    """
    row, runs = np.empty(values.shape[2], np.float32), _room(maps.shape[2])
    found = np.zeros((len(values), len(maps)), np.float32)
    for n in range(len(values)):
        for y in range(max(boxes[n, 1], start), min(boxes[n, 3], stop)):
            for run in range(_runs(values[n], y, boxes[n], down, across, row, runs)):
                for c in range(len(maps)):
                    total = np.float32(0)
                    for x in range(runs[run, 0], runs[run, 1]):
                        total += maps[c, y, x]
                    found[n, c] += total
    return found


@_compiled
def spread(
    values: Floats,
    boxes: Ints,
    down: Line,
    across: Line,
    weights: Floats,
    maps: Floats,
    start: int,
    stop: int,
) -> None:
    """Add each mask's weights (N, C) to maps (C, R, S) at the points inside it, in some rows.

    Other arguments as of `cut`.
    """
    row, runs = np.empty(values.shape[2], np.float32), _room(maps.shape[2])
    for n in range(len(values)):
        for y in range(max(boxes[n, 1], start), min(boxes[n, 3], stop)):
            for run in range(_runs(values[n], y, boxes[n], down, across, row, runs)):
                for c in range(len(maps)):
                    for x in range(runs[run, 0], runs[run, 1]):
                        maps[c, y, x] += weights[n, c]


@_compiled
def _room(points: int) -> Ints:
    """Return room for the runs of one row."""
    return np.empty((points // 2 + 1, 2), np.int32)


@_summing
def weighted_areas(values: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return the sum of rows (N, h) times columns (N, w) where values (N, h, w) are above zero."""
    areas = np.zeros(len(values), np.float32)
    for n in range(len(values)):
        for y in range(values.shape[1]):
            if rows[n, y] > 0:
                across = np.float32(0)
                for x in range(values.shape[2]):
                    across += columns[n, x] if values[n, y, x] > 0 else 0
                areas[n] += rows[n, y] * across
    return areas


@_compiled
def to_bytes(
    class_ids: Ints,
    confidence: Floats,
    labels: NDArray[np.unsignedinteger],
    levels: Bytes,
    start: int,
    stop: int,
) -> None:
    """Write some rows of labels (H, W) and of confidences, 1 to 255, 0 where the label is 0."""
    for y in range(start, stop):
        for x in range(labels.shape[1]):
            labels[y, x] = class_ids[y, x]
            level = np.rint(confidence[y, x] * BYTE)
            levels[y, x] = np.uint8(min(max(level, ONE), BYTE)) if class_ids[y, x] > 0 else 0


@_compiled
def blend_rows(
    image: Bytes,
    labels: NDArray[np.unsignedinteger],
    colours: Floats,
    opacity: float,
    border: float,
    drawn: Bytes,
    start: int,
    stop: int,
) -> None:
    """Blend class colours over some rows of an image; unlabelled pixels stay as they are.

    Args:
        image: (H, W, 3).
        labels: (H, W), rows of `colours`, 0 = unlabelled.
        colours: (C, 3), 0-255.
        opacity: of the colours, in [0, 1].
        border: how far pixels whose right or lower neighbour has another label become white.
        drawn: (H, W, 3), written to.
        start: first row.
        stop: the one behind the last.
    """
    height, width = labels.shape
    keep, opaque = np.float32(1 - opacity), np.float32(opacity)
    dim, light = np.float32(1 - border), np.float32(255 * border)
    for y in range(start, stop):
        below = min(y + 1, height - 1)
        for x in range(width):
            label = labels[y, x]
            right = min(x + 1, width - 1)
            at_border = labels[y, right] != label or labels[below, x] != label
            for c in range(3):
                value = np.float32(image[y, x, c])
                if label:
                    value = np.rint(value * keep + colours[label, c] * opaque)
                if at_border:
                    value = value * dim + light
                drawn[y, x, c] = np.uint8(value)
