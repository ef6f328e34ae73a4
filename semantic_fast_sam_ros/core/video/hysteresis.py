"""Labels of pixels that stay while the image before was surer: hysteresis against flicker."""

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

Pixels = tuple[Tensor, Tensor]  # (H, W) integer ids, 0 = unlabelled; (H, W) float32 in [0, 1]


def hold(new: Pixels, old: Pixels, hysteresis: float, minimum: Tensor | None = None) -> Pixels:
    """Keep the old label where the new one is less sure than a share of the old confidence.

    What is kept has that share as its confidence, so that it gives way in the end: after n images
    `hysteresis ** n` of the confidence is left. Pixels do not move with the picture: behind the
    edge of what moves, labels stay where it was. Unlabelled pixels stay unlabelled, and take no
    old label.

    Args:
        new: labels and confidence of this image.
        old: of the image before, at the same size.
        hysteresis: the share, in [0, 1); 0 leaves the new labels as they are.
        minimum: (ids,) confidence below which an old label of that id is not kept.
    """
    (ids, confidence), (old_ids, old_confidence) = new, old
    trust = hysteresis * old_confidence
    kept = (ids != old_ids) & (ids > 0) & (old_ids > 0) & (confidence < trust)
    if minimum is not None:
        kept &= trust >= minimum[old_ids.long()]
    held = torch.where(kept, old_ids.to(ids.dtype), ids)
    return held, torch.where(kept, trust, confidence)


def hold_labels(
    new: Pixels, before: SegmentationResult, hysteresis: float, least: float = 0.0
) -> Pixels:
    """Keep labels of the image before, as `hold` does.

    Args:
        new: labels and confidence of this image.
        before: the labels of the image before, of the same size and vocabulary.
        hysteresis: see `hold`.
        least: confidence below which no old label is kept, whatever its class allows.
    """
    device = new[0].device
    old_ids = torch.from_numpy(before.label_map.astype('int32')).to(device)
    old_confidence = torch.from_numpy(before.confidence).to(device) / 255
    minimum = minimum_by_id(before.vocabulary, least).to(device)
    return hold(new, (old_ids, old_confidence), hysteresis, minimum if minimum.any() else None)


def minimum_by_id(vocabulary: Vocabulary, least: float = 0.0) -> Tensor:
    """Return the least confidence of each id's class, (1 + greatest id,) float32."""
    values = [least] * (vocabulary.max_id + 1)
    for c in vocabulary.classes:
        values[c.id] = max(least, c.minimum_confidence)
    return torch.tensor(values)
