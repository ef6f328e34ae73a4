"""Pure functions on masks: areas, filtering, and painting many masks into one map."""

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.prototypes import PrototypeMasks, topmost_of
from semantic_fast_sam_ros.core.types import MaskLabels, MaskProposals

Shapes = Tensor | PrototypeMasks


def areas(masks: Shapes) -> Tensor:
    """Return the number of pixels in each mask, (N,): about, where they are not cut out."""
    return masks.flatten(1).sum(1) if isinstance(masks, Tensor) else masks.areas()


def largest_first(proposals: MaskProposals, maximum_share: float) -> MaskProposals:
    """Return the proposals by falling area, without those of more than a share of the image.

    FastSAM gives masks of the whole frame for boxes near the border; painted, one of them
    would wipe the dense map. Masks of equal areas keep their order.
    """
    height, width = proposals.size
    sizes = areas(proposals.shapes)
    order = sizes.argsort(descending=True, stable=True)
    return proposals.take(order[sizes[order] <= maximum_share * height * width])


def topmost(masks: Shapes) -> Tensor:
    """Return for each pixel the last mask that covers it, counted from 1; 0 where none does.

    With masks sorted by falling area this is 'smaller masks overwrite larger ones'.

    Args:
        masks: (N, H, W) bool, or not cut out; N up to 32767.

    Returns:
        (H, W) int16.
    """
    if not isinstance(masks, Tensor):
        return masks.topmost()
    return topmost_of(masks)


def rasterise(masks: Shapes, labels: MaskLabels) -> tuple[Tensor, Tensor, Tensor]:
    """Paint labelled masks, sorted by falling area, over the pixel labels.

    Args:
        masks: (N, H, W) bool, or not cut out.
        labels: of these masks; without `pixels`, unpainted pixels are unlabelled.

    Returns:
        label map (H, W) int64, confidence (H, W) float32 in [0, 1] with 0 where unlabelled, and
        mask numbers (H, W) int16 counted from 1, 0 = none.
    """
    instances = topmost(masks)
    kept = labels.paints.nonzero()[:, 0]
    if len(kept) == 0:
        classes, confidence = _unpainted(instances, labels)
        return classes, confidence * (classes > 0), instances
    if len(kept) == len(masks):
        painted = instances.long()
    else:
        number = torch.cat([kept.new_zeros(1), kept + 1])
        painted = number[topmost(_taken(masks, kept)).long()]
    zero = labels.class_ids.new_zeros(1)
    classes = torch.cat([zero, labels.class_ids[:, 0]])[painted]
    confidence = torch.cat([zero.to(labels.scores.dtype), labels.scores[:, 0]])[painted]
    if labels.pixels is not None:
        classes = torch.where(painted > 0, classes, labels.pixels.class_ids)
        confidence = torch.where(painted > 0, confidence, labels.pixels.confidence)
    return classes, confidence * (classes > 0), instances


def _unpainted(instances: Tensor, labels: MaskLabels) -> tuple[Tensor, Tensor]:
    if labels.pixels is not None:
        return labels.pixels.class_ids, labels.pixels.confidence
    zeros = torch.zeros_like(instances)
    return zeros.long(), zeros.to(labels.scores.dtype)


def _taken(masks: Shapes, index: Tensor) -> Shapes:
    return masks[index] if isinstance(masks, Tensor) else masks.take(index)
