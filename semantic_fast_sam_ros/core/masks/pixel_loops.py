"""Each pixel of an image: its likeliest class, what is painted over it, how it is shown.

Each function is compiled by numba; see `base/jit.py`.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.jit import Bytes, Floats, Ints, Line, Shorts, compiled

LOWEST = np.float32(-87.0)  # below it exp() is no normal float32
LOG2_E = np.float32(1.4426950408889634)
# 2^f for f in [0, 1) by powers of f, within 2e-7 of it.
POWERS = tuple(
    np.float32(p) for p in (1.0, 0.69315308, 0.24015361, 0.055826318, 0.0089893397, 0.0018775767)
)
ONE, BYTE = np.float32(1), np.float32(255)
EXPONENT_BIAS, MANTISSA_BITS = np.int32(127), np.int32(23)


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


@compiled
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
        best[y] = 0  # where no score is a number
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


@compiled
def _widen(logits: Floats, row: int, across: Line, wide: Floats) -> None:
    """Interpolate a row of logits (C, h, w) along the columns, into (C, W)."""
    left, right, shares, _ = across
    for c in range(wide.shape[0]):
        for x in range(wide.shape[1]):
            value = logits[c, row, left[x]]
            wide[c, x] = value + shares[x] * (logits[c, row, right[x]] - value)


@compiled
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


@compiled
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


@compiled
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


@compiled
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
