"""Whether a confidence of 0.8 is right eight times in ten."""

import numpy as np
from numpy.typing import NDArray

BINS = 15
Histogram = NDArray[np.float64]  # (BINS, 3): pixels, sum of confidences, right pixels


def histogram(
    truth: NDArray[np.int16], predicted: NDArray[np.int16], confidence: NDArray[np.floating]
) -> Histogram:
    """Sort labelled pixels into bins of equal width by confidence, (low, high] as published.

    Args:
        truth: (H, W) class indices, negative = ignored.
        predicted: (H, W) class indices.
        confidence: (H, W) in [0, 1]; 0 = no answer, left out.
    """
    valid = (truth >= 0) & (confidence > 0)
    values = confidence[valid].astype(np.float64)
    which = np.clip(np.ceil(values * BINS).astype(np.int64) - 1, 0, BINS - 1)
    right = (truth == predicted)[valid]
    return np.stack(
        [
            np.bincount(which, minlength=BINS),
            np.bincount(which, values, BINS),
            np.bincount(which, right, BINS),
        ],
        1,
    ).astype(np.float64)


def expected_error(counts: Histogram) -> float:
    """Return the expected calibration error (Guo et al., ICML 2017, equation 3), in [0, 1]."""
    total = counts[:, 0].sum()
    return float(np.abs(counts[:, 1] - counts[:, 2]).sum() / total) if total else float('nan')


def reliability(counts: Histogram) -> list[dict[str, float]]:
    """Return confidence, accuracy and share of the pixels of each bin that has any."""
    total = counts[:, 0].sum()
    return [
        {'confidence': conf / n, 'accuracy': right / n, 'share': n / total}
        for n, conf, right in counts.tolist()
        if n
    ]
