"""Crops of segments as mask network and camera would give them: rough, in any light."""

import random

import torch
import torch.nn.functional as functional
from augmentation import jitter_colours
from clip_segments import Segments
from small_clip import MEAN, SIZE, normalise
from torch import Tensor

from semantic_fast_sam_ros.core.open_vocabulary import crops

FILLS = ('blur', 'blur', 'blur', 'mean', 'none')  # drawn equally often


def augmented_crops(segments: Segments, rng: random.Random) -> Tensor:
    """Return one crop of each mask, normalised (N, 3, S, S), all drawn alike from an image."""
    pixels = torch.from_numpy(jitter_colours(segments.image, rng)).permute(2, 0, 1)
    squares = crops.square_boxes(rough_boxes(segments.boxes, rng), rng.uniform(1.0, 1.7))
    inside = roughen(crops.cut_masks(segments.masks, squares, SIZE), rng)
    cut = crops.cut(pixels, squares, SIZE)
    hidden = crops.hide_neighbours(cut, inside, rng.choice(FILLS), torch.tensor(MEAN) * 255)
    return normalise(hidden.flip(3) if rng.random() < 0.5 else hidden)


def roughen(inside: Tensor, rng: random.Random) -> Tensor:
    """Grow or shrink cut-out masks (N, S, S) a little, as a mask network does."""
    radius = rng.choice((0, 0, 1, 2))
    if not radius:
        return inside
    side, sign = 2 * radius + 1, rng.choice((1, -1))
    grown = functional.max_pool2d(sign * inside[None].float(), (side, 1), 1, (radius, 0))
    changed = sign * functional.max_pool2d(grown, (1, side), 1, (0, radius))[0] > 0.5
    return torch.where(changed.flatten(1).any(1)[:, None, None], changed, inside)


def rough_boxes(boxes: Tensor, rng: random.Random) -> Tensor:
    """Shift box edges; now and then keep only a part of all boxes of an image."""
    extent = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes + (torch.rand(len(boxes), 4) - 0.5) * 0.15 * extent
    if rng.random() < 0.25:
        edge, share = rng.randrange(4), rng.uniform(0.3, 0.6)
        moved[:, edge] += (share if edge < 2 else -share) * extent[:, edge]
    moved[:, 2:] = torch.maximum(moved[:, 2:], moved[:, :2] + 1)
    return moved
