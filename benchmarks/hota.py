"""Higher order tracking accuracy (Luiten et al., IJCV 2021), summed as its TrackEval does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

ALPHAS = np.arange(0.05, 0.99, 0.05)
Ids, Boxes = NDArray[np.int64], NDArray[np.float64]
Image = tuple[Ids, Boxes, Ids, Boxes]  # true ids and boxes (N, 4), those found


def overlaps(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Return intersection over union of boxes x1 y1 x2 y2, (N, M)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), 2)
    areas = [np.prod(b[:, 2:] - b[:, :2], 1) for b in (boxes, others)]
    return np.asarray(common / np.maximum(areas[0][:, None] + areas[1] - common, 1e-9))


def hota(images: Sequence[Image]) -> tuple[float, float, float]:
    """Return HOTA, detection and association accuracy, means over ALPHAS.

    Args:
        images: of one video, or of several whose ids differ.
    """
    true_ids, truth = np.unique(np.concatenate([i[0] for i in images]), return_inverse=True)
    told_ids, told = np.unique(np.concatenate([i[2] for i in images]), return_inverse=True)
    ends = [np.cumsum([len(i[k]) for i in images])[:-1] for k in (0, 2)]
    rows = list(zip(np.split(truth, ends[0]), np.split(told, ends[1]), strict=True))
    sims = [overlaps(image[1], image[3]) for image in images]
    met = np.zeros((len(true_ids), len(told_ids)))
    for (a, b), sim in zip(rows, sims, strict=True):
        met[np.ix_(a, b)] += sim / np.maximum(sim.sum(0) + sim.sum(1)[:, None] - sim, 1e-9)
    counts = np.bincount(truth)[:, None] + np.bincount(told)
    alignment = met / (counts - met)
    joined = np.zeros((len(ALPHAS), *met.shape))
    for (a, b), sim in zip(rows, sims, strict=True):
        i, j = linear_sum_assignment(-alignment[np.ix_(a, b)] * sim)
        for joint, alpha in zip(joined, ALPHAS, strict=True):
            kept = sim[i, j] >= alpha
            joint[a[i[kept]], b[j[kept]]] += 1
    right = joined.sum((1, 2))
    detection = right / (len(truth) + len(told) - right)
    association = (joined * joined / (counts - joined)).sum((1, 2)) / np.maximum(right, 1)
    whole = np.sqrt(detection * association)
    return float(whole.mean()), float(detection.mean()), float(association.mean())
