"""Masks times class probabilities: the vote that names each mask (SSA, method.md section 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

VOTE_CHUNK_ELEMENTS = 1 << 25  # float32 elements of one block of the mask matrix


@dataclass(frozen=True)
class Votes:
    """What the pixels inside each mask say, as shares that sum to one over the classes."""

    hard: Tensor  # (N, C) float32: share of the mask's pixels whose best class it is
    soft: Tensor  # (N, C) float32: mean probability inside the mask


def collect(masks: Tensor, probabilities: Tensor, labels: Tensor) -> Votes:
    """Count the votes of all masks with two matrix products.

    Args:
        masks: (N, H, W) bool.
        probabilities: (C, H, W) float32.
        labels: (H, W) int64, the best class of each pixel.

    Returns:
        hard and soft shares; a row of zeros for an empty mask.
    """
    classes = probabilities.shape[0]
    flat_masks, flat_labels = masks.flatten(1), labels.flatten()
    flat_probabilities = probabilities.flatten(1).T
    hard = probabilities.new_zeros((len(masks), classes))
    soft = torch.zeros_like(hard)
    step = max(1, VOTE_CHUNK_ELEMENTS // max(1, len(masks)))
    for start in range(0, flat_labels.numel(), step):
        block = slice(start, start + step)
        # float32 counts pixels exactly up to 2^24 a block, which no block reaches.
        weights = flat_masks[:, block].to(probabilities.dtype)
        one_hot = torch.nn.functional.one_hot(flat_labels[block], classes).to(probabilities.dtype)
        hard += weights @ one_hot
        soft += weights @ flat_probabilities[block]
    count = hard.sum(1, keepdim=True).clamp_min(1)
    return Votes(hard / count, soft / count)


def rank(shares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the best classes and their shares, (N, K) each; ties go to the smaller class.

    torch.topk leaves the order of ties open, so the classes are sorted stably instead.
    """
    ordered, classes = shares.sort(dim=1, descending=True, stable=True)
    return classes[:, :count], ordered[:, :count]
