"""Masks as sums of prototypes, looked at row by row: what lies inside them, and over what.

Each function is compiled by numba; see `base/jit.py`.
"""

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.jit import (
    Bools,
    Floats,
    Ints,
    Line,
    Shorts,
    compiled,
    summing,
)


@compiled
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


@compiled
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


@compiled
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


@compiled
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


@summing
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


@compiled
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


@compiled
def _room(points: int) -> Ints:
    """Return room for the runs of one row."""
    return np.empty((points // 2 + 1, 2), np.int32)


@summing
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
