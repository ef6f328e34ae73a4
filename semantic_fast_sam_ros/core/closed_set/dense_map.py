"""What a dense segmenter says of an image."""

from dataclasses import dataclass

import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.networks.answers import require_finite

NO_EVIDENCE = 1e-6  # score of every class where no query claims the pixel


@dataclass(frozen=True)
class DenseMap:
    """Scores of all classes on the network's own grid."""

    scores: Tensor  # (C, h, w) float: logits, or probabilities that need not sum to one
    are_logits: bool
    finished: bool = False  # each pixel has one class, and nobody knows how sure that is

    def probabilities(self, size: tuple[int, int]) -> Tensor:
        """Return class probabilities at a size (height, width): (C, H, W) float32, summing to 1.

        Logits are interpolated before the softmax, as transformers' and ultralytics' own
        post-processing does.

        Raises:
            NetworkError: some scores are no numbers.
        """
        require_finite('the segmenter', self.scores)
        scores = self.scores.float()
        if self.finished and scores.shape[1:] != size:
            scores = functional.interpolate(scores[None], size, mode='nearest-exact')[0]
        elif scores.shape[1:] != size:
            scores = functional.interpolate(scores[None], size, mode='bilinear')[0]
        if self.are_logits:
            return scores.softmax(0)
        scores = scores + NO_EVIDENCE
        return scores / scores.sum(0, keepdim=True)
