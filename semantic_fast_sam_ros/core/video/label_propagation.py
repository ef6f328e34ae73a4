"""Labels of an earlier image for the masks of this one: the labelling branch rests meanwhile."""

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.masks.types import (
    MaskLabels,
    MaskProposals,
    PixelLabels,
    SegmentationResult,
)
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary


class CarriedLabels:
    """Lets the label map of an earlier image vote in each mask, as a dense segmenter's would.

    What moved by less than its own size keeps its label inside its new outline; pixels in no mask
    keep the label that was there.
    """

    def __init__(self, earlier: SegmentationResult, settings: VoteSettings) -> None:
        """Take the labels of an image of the same size."""
        self._earlier, self._settings = earlier, settings

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        return self._earlier.vocabulary

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB, and all its pixels."""
        label_map = torch.from_numpy(self._earlier.label_map.astype('int64')).to(image.device)
        confidence = torch.from_numpy(self._earlier.confidence).to(image.device) / 255
        ids, labels = label_map.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        votes = voting.hard_votes(proposals.shapes, labels, len(ids))
        classes, shares = voting.rank(votes, self._settings.hypotheses)
        named = ids[classes]
        paints = (shares[:, 0] >= self._settings.minimum_purity) & (named[:, 0] > 0)
        return MaskLabels(named, shares, paints, PixelLabels(label_map, confidence))
