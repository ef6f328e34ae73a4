"""Results whose masks are boxes, drawn in order."""

from collections.abc import Sequence

import numpy as np

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names

HEIGHT, WIDTH = 120, 200
NAMES = from_names(['road', 'car', 'person'])  # stuff, and two kinds of things
Box = tuple[float, float, float, float]  # x1 y1 x2 y2


def result_of(
    masks: Sequence[tuple[str, Box]],
    scores: Sequence[float] | None = None,
    vocabulary: Vocabulary = NAMES,
) -> SegmentationResult:
    """Return an image with a mask for each name and box; '' is no name."""
    count = len(masks)
    instances = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids = [vocabulary.find(name).id if name else 0 for name, _ in masks]
    for number, (_, box) in enumerate(masks, start=1):
        left, top, right, bottom = (round(side) for side in box)
        instances[max(top, 0) : bottom, max(left, 0) : right] = number
        labels[max(top, 0) : bottom, max(left, 0) : right] = ids[number - 1]
    sure = np.array(scores if scores is not None else [0.9] * count, np.float32)
    return SegmentationResult(
        label_map=labels,
        confidence=np.where(labels > 0, 200, 0).astype(np.uint8),
        instances=instances,
        mask_ids=np.arange(1, count + 1, dtype=np.uint16),
        boxes=np.array([box for _, box in masks], np.float32).reshape(-1, 4),
        mask_scores=np.ones(count, np.float32),
        class_ids=np.array(ids, np.int64).reshape(-1, 1),
        class_scores=(sure * (np.array(ids) > 0)).astype(np.float32).reshape(-1, 1),
        vocabulary=vocabulary,
    )
