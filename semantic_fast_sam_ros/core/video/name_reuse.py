"""Names of masks that stay while the masks do: what looks as it did is not encoded again."""

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.masks.types import (
    MaskLabeller,
    MaskLabels,
    MaskMemory,
    MaskProposals,
)
from semantic_fast_sam_ros.core.open_vocabulary import crops
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

GRID = (96, 128)  # points at which masks are compared
LOOK_SIZE = 8  # side of the small pictures that tell whether a mask looks as it did


class ReusingLabeller:
    """Lets another labeller name the masks of one image that the image before does not name."""

    def __init__(
        self,
        labeller: MaskLabeller,
        settings: TemporalSettings,
        circumstances: object,
        before: MaskMemory | None,
    ) -> None:
        """Take what is known.

        Args:
            labeller: names each mask by itself; see `effects.REUSING`.
            settings: when names are kept.
            circumstances: settings and image size; what other ones found is not used.
            before: of the image before, if there was one.
        """
        self._labeller, self._settings = labeller, settings
        self._circumstances = circumstances
        self._before = before
        self.memory: MaskMemory | None = None  # of this image, once it is labelled

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        return self._labeller.vocabulary

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB on the labeller's device."""
        shapes = proposals.masks_at(GRID).flatten(1)
        looks = crops.cut(image, proposals.boxes, LOOK_SIZE)
        ages = torch.zeros(len(proposals), dtype=torch.int64, device=image.device)
        known = self._known()
        if known is None:
            labels = self._labeller.label(image, proposals)
        else:
            found, same = match(shapes, looks, known, self._settings)
            labels = self._label(image, proposals, known, found, same)
            ages = torch.where(same, known.ages[found] + 1, ages)
            # What was encoded stays the measure, so that small changes do not add up unseen.
            looks = torch.where(same[:, None, None, None], known.looks[found], looks)
        self.memory = MaskMemory(shapes, looks, ages, labels, self._all_circumstances())
        return labels

    def _known(self) -> MaskMemory | None:
        """Return what still holds of the image before."""
        before = self._before
        if before is None or len(before) == 0:
            return None
        return before if before.circumstances == self._all_circumstances() else None

    def _all_circumstances(self) -> object:
        return self._circumstances, self.vocabulary

    def _label(
        self,
        image: Tensor,
        proposals: MaskProposals,
        known: MaskMemory,
        found: Tensor,
        same: Tensor,
    ) -> MaskLabels:
        kept = _taken(known.labels, found)
        if bool(same.all()):
            return kept
        return kept.replaced(~same, self._labeller.label(image, proposals.take(~same)))


def match(
    shapes: Tensor, looks: Tensor, known: MaskMemory, settings: TemporalSettings
) -> tuple[Tensor, Tensor]:
    """Find masks among those of the image before.

    Args:
        shapes: (N, points) bool.
        looks: (N, 3, S, S) float32, 0-255.
        known: at least one mask.
        settings: when a mask is the same, and how long its names may be kept.

    Returns:
        the known mask that overlaps each one most, (N,) int64, and whether its names may be
        taken, (N,) bool.
    """
    overlap, found = _overlaps(shapes.float(), known.shapes.float()).max(1)
    change = (looks - known.looks[found]).abs().mean((1, 2, 3))
    # Masks that were named together are not all named anew together: half of the limit is spread.
    limit = settings.reuse_images - found % (settings.reuse_images // 2 + 1)
    similar = (overlap >= settings.reuse_iou) & (change <= settings.reuse_change)
    return found, similar & (overlap > 0) & (known.ages[found] < limit)


def _overlaps(masks: Tensor, others: Tensor) -> Tensor:
    """Return intersection over union of masks (N, points) and (M, points): (N, M)."""
    common = masks @ others.T
    union = masks.sum(1)[:, None] + others.sum(1) - common
    return common / union.clamp_min(1)


def _taken(labels: MaskLabels, index: Tensor) -> MaskLabels:
    features = None if labels.features is None else labels.features[index]
    taken = (labels.class_ids[index], labels.scores[index], labels.paints[index])
    return MaskLabels(*taken, features=features)
