"""Measures of one confusion matrix summed over the split."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]  # (C, C + 1): true class, predicted class; last column: none of them


def confusion_matrix(
    truth: NDArray[np.int16], predicted: NDArray[np.int16], classes: int
) -> Matrix:
    """Count (true, predicted) pairs.

    Args:
        truth: class indices; negative ones are left out.
        predicted: class indices of the same shape; `classes` = none of them.
        classes: how many the data set has.
    """
    valid = truth >= 0
    index = truth[valid].astype(np.int64) * (classes + 1) + predicted[valid]
    counts = np.bincount(index, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1).astype(np.int64)


def class_iou(matrix: Matrix) -> NDArray[np.float64]:
    """Return intersection over union a class; NaN where it is neither true nor predicted.

    Everingham et al., The PASCAL VOC Challenge: A Retrospective, IJCV 2015, section 3.1.3.
    """
    square = matrix[:, :-1]
    hits = np.diag(square)
    union = matrix.sum(1) + square.sum(0) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def mean_iou(matrix: Matrix) -> float:
    """Return the mean of the class IoUs that exist, in [0, 1]."""
    values = class_iou(matrix)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')


def pixel_accuracy(matrix: Matrix) -> float:
    """Return the share of labelled pixels that are right (Long et al., CVPR 2015, section 5)."""
    return float(np.diag(matrix[:, :-1]).sum() / max(1, matrix.sum()))


def frequency_weighted_iou(matrix: Matrix) -> float:
    """Return the mean IoU weighted by true pixels (Long et al., CVPR 2015, section 5)."""
    true = matrix.sum(1)
    return float(np.nansum(true * np.nan_to_num(class_iou(matrix))) / max(1, true.sum()))


def bootstrap_interval(matrices: Matrix, draws: int = 200) -> tuple[float, float]:
    """Return the 95 % interval of the mean IoU when images are drawn anew with replacement.

    Frames of a video resemble their neighbours, so the true interval is wider.

    Args:
        matrices: (images, C, C + 1).
        draws: how often; the seed is fixed.
    """
    generator = np.random.default_rng(0)
    count = len(matrices)
    flat = matrices.reshape(count, -1).astype(np.float64)
    weights = np.stack(
        [np.bincount(generator.integers(0, count, count), minlength=count) for _ in range(draws)]
    )
    sums = (weights @ flat).round().astype(np.int64).reshape(draws, *matrices.shape[1:])
    values = [mean_iou(m) for m in sums]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
