"""How well the borders of regions are met."""

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]  # (H, W) 0 or 1
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
SQUARE = np.ones((3, 3), np.uint8)


def inner_border(mask: Mask) -> Mask:
    """Return the pixels of a mask with a 4-neighbour outside it; the image's edge is no border."""
    return mask & ~cv2.erode(mask, CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=1) & 1


def disc(radius: int) -> Mask:
    """Return the structuring element of all offsets at most so far away, in pixels."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (y * y + x * x <= radius * radius).astype(np.uint8)


def boundary_f(
    truth: NDArray[np.int16], predicted: NDArray[np.int16], classes: int, distance: int
) -> NDArray[np.float64]:
    """Return the boundary F-score a class of one image; NaN where the class is not in the truth.

    Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013,
    section 3: precision = share of predicted border pixels within the distance of a true one,
    recall the other way round. Border pixels next to ignored ones are left out.

    Args:
        truth: (H, W) class indices, negative = ignored.
        predicted: (H, W) class indices.
        classes: number of classes.
        distance: in pixels, Euclidean.
    """
    ignored = (truth < 0).astype(np.uint8)
    counted = 1 - cv2.dilate(ignored, SQUARE)
    near_ignored = 1 - cv2.dilate(ignored, disc(distance))
    element = disc(distance)
    scores = np.full(classes, np.nan)
    for index in np.unique(truth[truth >= 0]):
        true = inner_border((truth == index).astype(np.uint8))
        found = inner_border((predicted == index).astype(np.uint8))
        scores[index] = _f_score(
            found & near_ignored,
            cv2.dilate(true, element),
            true & counted,
            cv2.dilate(found, element),
        )
    return scores


def _f_score(found: Mask, near_true: Mask, true: Mask, near_found: Mask) -> float:
    total_found, total_true = int(found.sum()), int(true.sum())
    if not total_found and not total_true:
        return float('nan')
    precision = int((found & near_true).sum()) / max(1, total_found)
    recall = int((true & near_found).sum()) / max(1, total_true)
    return 2 * precision * recall / max(1e-12, precision + recall)


def band(mask: Mask, width: int) -> Mask:
    """Return the pixels of a mask within `width` erosion steps of its border, or of the edge."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, SQUARE, iterations=width)[1:-1, 1:-1]
    return mask - eroded


def boundary_iou_counts(
    truth: NDArray[np.int16], predicted: NDArray[np.int16], classes: int, width: int
) -> NDArray[np.int64]:
    """Count intersection and union of the border bands a class, (C, 2), to be summed and divided.

    Cheng et al., Boundary IoU, CVPR 2021, section 4.1. Ignored pixels belong to no mask.
    """
    counts = np.zeros((classes, 2), np.int64)
    valid = truth >= 0
    for index in np.union1d(truth[valid], predicted[valid]):
        if not 0 <= index < classes:
            continue
        a = band(((truth == index) & valid).astype(np.uint8), width)
        b = band(((predicted == index) & valid).astype(np.uint8), width)
        counts[index] = (a & b).sum(), (a | b).sum()
    return counts


def band_width(height: int, width: int, share: float = 0.02) -> int:
    """Return Boundary IoU's band: 2 % of the image's diagonal, at least a pixel."""
    return max(1, round(share * float(np.hypot(height, width))))


def error_by_distance(
    truth: NDArray[np.int16], predicted: NDArray[np.int16], edges: tuple[int, ...]
) -> NDArray[np.int64]:
    """Count (pixels, wrong pixels) by distance to the nearest true border: (len(edges), 2).

    Args:
        truth: (H, W) class indices, negative = ignored.
        predicted: (H, W) class indices.
        edges: lower ends of the bins, pixels, the first 0.
    """
    border = np.zeros(truth.shape, bool)
    for axis in (0, 1):
        near = np.diff(truth, axis=axis) != 0
        first = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        after = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        border[first] |= near
        border[after] |= near
    distance = cv2.distanceTransform(
        (~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    valid = truth >= 0
    which = np.digitize(distance[valid], edges) - 1
    wrong = (truth != predicted)[valid]
    total = np.bincount(which, minlength=len(edges))
    return np.stack([total, np.bincount(which[wrong], minlength=len(edges))], 1).astype(np.int64)
