"""How errors of masks and of labels become errors of the label map."""

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.evaluation import confusion
from semantic_fast_sam_ros.evaluation.confusion import Matrix

CAUSES = ('labels', 'shapes', 'unmasked')


def blame(
    truth: NDArray[np.int16],
    predicted: NDArray[np.int16],
    masks: NDArray[np.bool_],
    classes: int,
) -> Matrix:
    """Count the wrong pixels by their cause, (3, C, C + 1), in the order of CAUSES.

    A wrong pixel in no mask is `unmasked`. One whose topmost mask is mostly of another true class
    lies where the mask crosses a true border: `shapes`. The rest are in a mask that is rightly
    theirs and got a wrong name: `labels`.

    Args:
        truth: (H, W) class indices, negative = ignored.
        predicted: (H, W) class indices; `classes` = none of them.
        masks: (N, H, W), the largest first.
        classes: how many the data set has.
    """
    owner = topmost(masks)
    major = np.concatenate([[-1], majorities(truth, masks, classes)])[owner]
    cause = np.where(owner == 0, 2, np.where(major == truth, 0, 1))
    wrong = (truth >= 0) & (truth != predicted)
    return np.stack(
        [
            confusion.confusion_matrix(
                np.where(wrong & (cause == i), truth, -1), predicted, classes
            )
            for i in range(len(CAUSES))
        ]
    )


def topmost(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each pixel its last mask, counted from 1; 0 where there is none."""
    owner = np.zeros(masks.shape[1:], np.int64)
    for number, mask in enumerate(masks, start=1):
        owner[mask] = number
    return owner


def majorities(
    truth: NDArray[np.int16], masks: NDArray[np.bool_], classes: int
) -> NDArray[np.int64]:
    """Return the most frequent true class in each mask, (N,); -1 where none of it is labelled."""
    found = np.full(len(masks), -1, np.int64)
    for i, mask in enumerate(masks):
        counts = np.bincount(truth[mask & (truth >= 0)], minlength=classes)
        if counts.any():
            found[i] = counts.argmax()
    return found


def gains(matrix: Matrix, causes: Matrix) -> dict[str, NDArray[np.float64]]:
    """Return the IoU a class that would be won if each cause alone, and all, were cured.

    Args:
        matrix: (C, C + 1) of the row.
        causes: (3, C, C + 1), from `blame`, summed over the same images.

    Returns:
        each of CAUSES, and 'all' -> (C,). The parts need not add up to the whole: a union shrinks
        with every pixel that is put right.
    """
    own = confusion.class_iou(matrix)
    cured = {
        name: confusion.class_iou(cure(matrix, part))
        for name, part in zip(CAUSES, causes, strict=True)
    }
    cured['all'] = confusion.class_iou(cure(matrix, causes.sum(0)))
    return {name: value - own for name, value in cured.items()}


def cure(matrix: Matrix, wrong: Matrix) -> Matrix:
    """Return a confusion matrix in which these wrong pixels have their true class."""
    right = matrix - wrong
    right[np.arange(len(right)), np.arange(len(right))] += wrong.sum(1)
    return right
