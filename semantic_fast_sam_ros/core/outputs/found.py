"""What a query says of the masks of an image: which it found, and how like it each pixel is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.masks.types import SegmentationResult


@dataclass(frozen=True)
class Found:
    """How likely each mask shows each of the words that were asked for."""

    names: tuple[str, ...]  # (Q,) the words
    scores: NDArray[np.float32]  # (N, Q) in [0, 1], a row a mask
    threshold: float  # from which score on a mask is an answer

    def ranked(self) -> list[tuple[int, tuple[tuple[str, float], ...]]]:
        """Return the rows that are answers, likeliest first, each with its words and scores."""
        best = self.scores.max(1, initial=0)
        order = np.argsort(-best, kind='stable')
        return [(int(row), self._words(row)) for row in order if best[row] >= self.threshold]

    def _words(self, row: int) -> tuple[tuple[str, float], ...]:
        scores = self.scores[row]
        order = np.argsort(-scores, kind='stable')
        return tuple(
            (self.names[i], float(scores[i])) for i in order if scores[i] >= self.threshold
        )


def heat(result: SegmentationResult, found: Found) -> NDArray[np.uint8]:
    """Return the best score of each pixel's mask, (H, W): 0 to 255, 0 where there is no mask."""
    levels = np.zeros(np.iinfo(np.uint16).max + 1, np.uint8)
    levels[result.mask_ids] = np.round(255 * found.scores.max(1, initial=0))
    return levels.take(result.instances, mode='wrap')  # twice as fast as an index
