"""Class-agnostic masks against the true regions, as COCO measures them."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(
    0.5, 0.95, 10
)  # of the IoU; Lin et al., Microsoft COCO, and cocodataset.org
RECALL_POINTS = np.linspace(0, 1, 101)
MASK_LIMITS = (10, 100, 300)
MINIMUM_AREA = 60  # pixels; smaller true regions are left out
SIZES = {  # pixels of a region, as COCO divides them
    'small': (0, 32**2),
    'medium': (32**2, 96**2),
    'large': (96**2, math.inf),
}


@dataclass(frozen=True)
class MaskMatches:
    """What one image adds to the measures."""

    scores: NDArray[np.float32]  # (N,) falling
    matched: NDArray[np.bool_]  # (10, N): at each IoU threshold, the mask found a region
    regions: int  # true regions
    covered: float  # share of the labelled pixels in any mask


def true_regions(truth: NDArray[np.int16], minimum_area: int = MINIMUM_AREA) -> NDArray[np.bool_]:
    """Return the 8-connected one-class regions of a label map, (N, H, W), none below the area."""
    found = []
    for index in np.unique(truth[truth >= 0]):
        count, parts, statistics, _ = cv2.connectedComponentsWithStats(
            (truth == index).astype(np.uint8), connectivity=8
        )
        found += [
            parts == part
            for part in range(1, count)
            if statistics[part, cv2.CC_STAT_AREA] >= minimum_area
        ]
    return np.stack(found) if found else np.zeros((0, *truth.shape), bool)


def match(
    masks: NDArray[np.bool_],
    scores: NDArray[np.float32],
    regions: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
) -> MaskMatches:
    """Give each mask, best score first, the free region it overlaps most.

    Args:
        masks: (N, H, W).
        scores: (N,).
        regions: (M, H, W).
        labelled: (H, W), the pixels that count for the coverage.
    """
    return match_by_size(masks, scores, regions, labelled)['all']


def match_by_size(
    masks: NDArray[np.bool_],
    scores: NDArray[np.float32],
    regions: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
) -> dict[str, MaskMatches]:
    """Match as `match` does, with all regions and with those of each of SIZES by themselves."""
    order = np.argsort(-scores, kind='mergesort')[: max(MASK_LIMITS)]
    overlap = _iou(masks[order], regions)
    covered = float(masks.any(0)[labelled].mean()) if len(masks) and labelled.any() else 0.0
    area = regions.sum((1, 2))
    chosen = {'all': area >= 0}
    chosen |= {name: (low <= area) & (area < high) for name, (low, high) in SIZES.items()}
    return {
        name: MaskMatches(
            scores[order],
            np.stack([_greedy(overlap[:, some], threshold) for threshold in THRESHOLDS]),
            int(some.sum()),
            covered,
        )
        for name, some in chosen.items()
    }


def average_recall(images: list[MaskMatches], limit: int) -> float:
    """Return the recall with so many masks an image, averaged over the IoU thresholds."""
    regions = sum(image.regions for image in images)
    found = sum(int(image.matched[:, :limit].sum()) for image in images)
    return found / (regions * len(THRESHOLDS)) if regions else float('nan')


def recall(images: list[MaskMatches], limit: int, threshold: float) -> float:
    """Return the recall with so many masks an image at one of the IoU thresholds."""
    regions = sum(image.regions for image in images)
    place = int(np.abs(THRESHOLDS - threshold).argmin())
    found = sum(int(image.matched[place, :limit].sum()) for image in images)
    return found / regions if regions else float('nan')


def average_precision(images: list[MaskMatches]) -> float:
    """Return COCO's AP: precision at 101 recalls, made monotone, averaged over the thresholds."""
    regions = sum(image.regions for image in images)
    if not regions:
        return float('nan')
    scores = np.concatenate([image.scores for image in images])
    order = np.argsort(-scores, kind='mergesort')
    matched = np.concatenate([image.matched for image in images], 1)[:, order]
    hits, misses = matched.cumsum(1), (~matched).cumsum(1)
    return float(
        np.mean([_interpolated(h, m, regions) for h, m in zip(hits, misses, strict=True)])
    )


def _interpolated(hits: NDArray[np.int64], misses: NDArray[np.int64], regions: int) -> float:
    recall = hits / regions
    precision = hits / np.maximum(hits + misses, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALL_POINTS, side='left')
    return float(sum(precision[p] for p in places if p < len(precision)) / len(RECALL_POINTS))


def _iou(masks: NDArray[np.bool_], regions: NDArray[np.bool_]) -> NDArray[np.float64]:
    pixels = int(np.prod(masks.shape[1:]))
    a = masks.reshape(-1, pixels).astype(np.float32)
    b = regions.reshape(-1, pixels).astype(np.float32)
    both = (a @ b.T).astype(np.float64)
    union = a.sum(1)[:, None] + b.sum(1)[None] - both
    return both / np.maximum(union, 1)


def _greedy(overlap: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    free = np.ones(overlap.shape[1], bool)
    matched = np.zeros(len(overlap), bool)
    for i, row in enumerate(overlap):
        best = int(np.where(free, row, -1).argmax()) if free.any() else -1
        if best >= 0 and row[best] >= threshold:
            free[best], matched[i] = False, True
    return matched
