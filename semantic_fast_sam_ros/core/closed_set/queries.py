"""Segmenters by queries, whose classes and masks come apart: MaskFormer and its kin, EoMT."""

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

IN_PATCHES = ('eomt', 'eomt_dinov3')  # take squares of one size, several of them side by side
BY_QUERIES = ('maskformer', 'mask2former', 'oneformer', *IN_PATCHES)
MASK2FORMER_GRID = (384, 384)  # transformers brings its mask logits to this before the sigmoid


def class_scores(output: Any, grid: tuple[int, int] | None = None) -> Tensor:
    """Return the queries' classes times their masks (Cheng et al., NeurIPS 2021, section 3.4).

    Args:
        output: of a model of transformers, N images.
        grid: height and width that mask logits are brought to first; None: they stay.

    Returns:
        (N, C, h, w) float32, not negative.
    """
    masks = output['masks_queries_logits'].float()
    if grid is not None:
        masks = functional.interpolate(masks, grid, mode='bilinear')
    # The last class is 'no object'.
    shares = output['class_queries_logits'].float().softmax(-1)[..., :-1]
    return torch.einsum('nqc,nqhw->nchw', shares, masks.sigmoid())


def segment_in_patches(model: Any, processor: Any, image: Tensor) -> Tensor:
    """Score an image as EoMT's processor cuts it (Kerssies et al., CVPR 2025).

    A semantic checkpoint looks at overlapping squares, and means count where they overlap; a
    panoptic one at the whole image, filled up to a square.

    Args:
        model: of transformers.
        processor: its own.
        image: (3, H, W) uint8 RGB.

    Returns:
        (C, h, w) float32, at the size that the processor brings images to.
    """
    from transformers.image_transforms import get_size_with_aspect_ratio

    prepared = processor(images=image, return_tensors='pt')
    pixels = prepared['pixel_values'].to(model.device, model.dtype)
    found = class_scores(model(pixel_values=pixels), tuple(pixels.shape[2:]))
    sides = {name: processor.size[name] for name in ('shortest_edge', 'longest_edge')}
    size = get_size_with_aspect_ratio(tuple(image.shape[1:]), *sides.values())
    if offsets := prepared.get('patch_offsets'):
        merged: Tensor = processor.merge_image_patches(found, offsets, [size], sides)[0]
        return merged
    whole: Tensor = processor.unpad_image(found, [size], sides)[0]
    return whole
