"""Pure functions on masks: areas, filtering, and painting many masks into one map."""

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.types import MaskLabels, MaskProposals

PAINT_CHUNK_ELEMENTS = 1 << 26  # bounds the temporary of `paint_order` for large images


def areas(masks: Tensor) -> Tensor:
    """Return the number of pixels in each mask, (N,) int64, for masks (N, H, W) bool."""
    return masks.flatten(1).sum(1)


def drop_frame_filling(proposals: MaskProposals, maximum_share: float) -> MaskProposals:
    """Drop masks that cover more than a share of the image.

    FastSAM gives masks of the whole frame for boxes near the border; painted, one of them
    would wipe the dense map.
    """
    height, width = proposals.masks.shape[1:]
    return proposals.take(areas(proposals.masks) <= maximum_share * height * width)


def sort_by_area(proposals: MaskProposals) -> MaskProposals:
    """Return the proposals with the largest mask first; equal ones keep their order."""
    return proposals.take(areas(proposals.masks).argsort(descending=True, stable=True))


def topmost(masks: Tensor) -> Tensor:
    """Return for each pixel the last mask that covers it, counted from 1; 0 where none does.

    With masks sorted by falling area this is 'smaller masks overwrite larger ones'.

    Args:
        masks: (N, H, W) bool, N up to 32767.

    Returns:
        (H, W) int16.
    """
    count, height, width = masks.shape
    top = torch.zeros((height, width), dtype=torch.int16, device=masks.device)
    order = torch.arange(1, count + 1, dtype=torch.int16, device=masks.device)
    chunk = max(1, PAINT_CHUNK_ELEMENTS // (height * width))
    for start in range(0, count, chunk):
        part = (
            masks[start : start + chunk].to(torch.int16) * order[start : start + chunk, None, None]
        )
        top = torch.maximum(top, part.amax(0))
    return top


def rasterise(masks: Tensor, labels: MaskLabels) -> tuple[Tensor, Tensor, Tensor]:
    """Paint labelled masks, sorted by falling area, over the pixel labels.

    Args:
        masks: (N, H, W) bool.
        labels: of these masks; without `pixels`, unpainted pixels are unlabelled.

    Returns:
        label map (H, W) int64, confidence (H, W) float32 in [0, 1] with 0 where unlabelled, and
        mask numbers (H, W) int16 counted from 1, 0 = none.
    """
    instances = topmost(masks)
    if bool(labels.paints.all()):
        painted = instances.long()
    else:
        kept = labels.paints.nonzero()[:, 0]
        number = torch.cat([kept.new_zeros(1), kept + 1])
        painted = number[topmost(masks[kept]).long()]
    zero = labels.class_ids.new_zeros(1)
    classes = torch.cat([zero, labels.class_ids[:, 0]])[painted]
    confidence = torch.cat([zero.to(labels.scores.dtype), labels.scores[:, 0]])[painted]
    if labels.pixels is not None:
        classes = torch.where(painted > 0, classes, labels.pixels.class_ids)
        confidence = torch.where(painted > 0, confidence, labels.pixels.confidence)
    return classes, confidence * (classes > 0), instances
