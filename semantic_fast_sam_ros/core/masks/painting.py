"""Pure functions on masks: areas, filtering, and painting many masks into one map."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.masks import pixel_loops
from semantic_fast_sam_ros.core.masks.prototypes import PrototypeMasks, Shapes, topmost_of
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals, PixelLabels


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


def largest_first_unasked(proposals: MaskProposals, maximum_share: float) -> MaskProposals:
    """Do the same for masks that are not cut out, without asking a GPU how many are left.

    There are as many proposals as before. Those that fall away, and those without a pixel, come
    last, without a pixel, and are not `real`.
    """
    shapes, (height, width) = proposals.shapes, proposals.size
    assert not isinstance(shapes, Tensor)
    sizes = shapes.areas()
    dropped = ~shapes.filled() | (sizes > maximum_share * height * width)
    order = sizes.masked_fill(dropped, -1.0).argsort(descending=True, stable=True)
    emptied = shapes.without(dropped)
    real = replace(proposals, shapes=emptied, boxes=emptied.boxes, real=~dropped)
    return real.take(order)


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
        label map (H, W) int32, confidence (H, W) float32 in [0, 1] with 0 where unlabelled, and
        mask numbers (H, W) int16 counted from 1, 0 = none.
    """
    if not isinstance(masks, Tensor) and not jit.suits(masks.boxes.device):
        return _rasterise_unasked(masks, labels)
    instances = topmost(masks)
    kept = labels.paints.nonzero()[:, 0]
    pixels = labels.pixels or PixelLabels(torch.zeros_like(instances), instances * 0.0)
    if len(kept) == 0:
        return pixels.class_ids, pixels.confidence, instances
    numbers = instances if len(kept) == len(masks) else topmost(_taken(masks, kept))
    zero = labels.class_ids.new_zeros(1)
    ids = torch.cat([zero, labels.class_ids[kept, 0]]).int()
    scores = torch.cat([zero, labels.scores[kept, 0]])
    classes, confidence = _painted(numbers, ids, scores, pixels)
    return classes, confidence * (classes > 0), instances


def _rasterise_unasked(masks: PrototypeMasks, labels: MaskLabels) -> tuple[Tensor, Tensor, Tensor]:
    """Rasterise without asking a GPU which masks paint."""
    order = torch.arange(1, len(masks) + 1, dtype=torch.int16, device=masks.boxes.device)
    instances, numbers = masks.highest(order, order * labels.paints)
    pixels = labels.pixels or PixelLabels(torch.zeros_like(instances), instances * 0.0)
    ids = functional.pad(labels.class_ids[:, 0], (1, 0)).int()
    classes, confidence = _painted(
        numbers, ids, functional.pad(labels.scores[:, 0], (1, 0)), pixels
    )
    return classes, confidence * (classes > 0), instances


def _painted(
    numbers: Tensor, ids: Tensor, scores: Tensor, pixels: PixelLabels
) -> tuple[Tensor, Tensor]:
    """Return ids and scores (N + 1,) by number (H, W) where it is not 0, elsewhere the pixels'."""
    if jit.suits(numbers.device):
        classes = pixels.class_ids.to(torch.int32, copy=True)
        confidence = pixels.confidence.clone()
        arrays = [t.numpy() for t in (numbers, ids, scores, classes, confidence)]
        jit.in_bands(partial(pixel_loops.paint_rows, *arrays), len(numbers))
        return classes, confidence
    index = numbers.long()
    classes = torch.where(index > 0, ids[index], pixels.class_ids.int())
    return classes, torch.where(index > 0, scores[index], pixels.confidence)


def to_host(
    class_ids: Tensor, confidence: Tensor, label_type: type[np.uint8] | type[np.uint16]
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.uint8]]:
    """Return labels, and confidences of 1 to 255 with 0 only where unlabelled, (H, W) each.

    Args:
        class_ids: (H, W) integers that fit the label type, 0 = unlabelled.
        confidence: (H, W) float32 in [0, 1].
        label_type: of the labels.
    """
    if jit.suits(class_ids.device):
        shape = tuple(class_ids.shape)
        labels, levels = np.empty(shape, label_type), np.empty(shape, np.uint8)
        arrays = (class_ids.contiguous().numpy(), confidence.contiguous().numpy(), labels, levels)
        jit.in_bands(partial(pixel_loops.to_bytes, *arrays), shape[0])
        return labels, levels
    small, shown = bytes_of(class_ids, confidence, label_type)
    return small.cpu().numpy().astype(label_type, copy=False), shown.cpu().numpy()


def bytes_of(
    class_ids: Tensor, confidence: Tensor, label_type: type[np.uint8] | type[np.uint16]
) -> tuple[Tensor, Tensor]:
    """Return both as they are downloaded: torch has little arithmetic for two unsigned bytes."""
    small = class_ids.to(torch.uint8 if label_type == np.uint8 else torch.int32)
    shown = (confidence * 255).round().clamp(1, 255) * (class_ids > 0)
    return small, shown.to(torch.uint8)


def _taken(masks: Shapes, index: Tensor) -> Shapes:
    return masks[index] if isinstance(masks, Tensor) else masks.take(index)
