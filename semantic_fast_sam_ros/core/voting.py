"""Masks times class probabilities: the vote that names each mask (SSA, method.md section 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

VOTE_CHUNK_ELEMENTS = 1 << 25  # float32 elements of one block of the mask matrix
TINY = 1e-12  # keeps logarithms of probabilities finite
RARE = 1e-6  # least share of an image that a class is taken to have


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
    step = max(1, VOTE_CHUNK_ELEMENTS // max(1, len(masks), classes))
    for start in range(0, flat_labels.numel(), step):
        block = slice(start, start + step)
        # float32 counts pixels exactly up to 2^24 a block, which no block reaches.
        weights = flat_masks[:, block].to(probabilities.dtype)
        voters = flat_labels[block, None]
        hard += weights @ probabilities.new_zeros((len(voters), classes)).scatter_(1, voters, 1.0)
        soft += weights @ flat_probabilities[block]
    count = hard.sum(1, keepdim=True).clamp_min(1)
    return Votes(hard / count, soft / count)


def evidence(votes: Tensor, image: Tensor, floor: float) -> Tensor:
    """Return how much likelier each class is in each mask than in the image, as logarithms (N, C).

    Were mask and pixel independent witnesses, Bayes' rule would multiply the pixel's class
    probabilities by just this ratio. A class that is rare everywhere, such as poles in masks of
    buildings, is not voted down for being rare in the mask, too.

    Args:
        votes: (N, C) float32 shares of the classes in each mask.
        image: (C,) float32 shares in the whole image.
        floor: so much of the image's shares is mixed into a mask's; bounds the evidence against
            a class at log(floor / (1 + floor)).
    """
    common = image.clamp_min(RARE)
    return ((votes + floor * common) / ((1 + floor) * common)).log()


def fuse(masks: Tensor, probabilities: Tensor, evidence: Tensor, trust: Tensor) -> Tensor:
    """Weigh what all masks over a pixel say into its own class probabilities.

    A logarithmic opinion pool (Genest and Zidek, Statistical Science 1986, section 3):
    log q = log p + sum over masks m that cover the pixel of trust_m evidence_m, then summing
    to one again. Overlapping masks add up, and none covers another.

    Args:
        masks: (N, H, W) bool.
        probabilities: (C, H, W) float32.
        evidence: (N, C) float32, of each mask for each class; from `evidence`.
        trust: (N,) float32, 0 = the mask is not heard.

    Returns:
        (C, H, W) float32, summing to one over C.
    """
    weighted = (trust[:, None] * evidence).T
    flat_masks, flat = masks.flatten(1), probabilities.flatten(1)
    fused = torch.empty_like(flat)
    step = max(1, VOTE_CHUNK_ELEMENTS // max(1, len(masks)))
    for start in range(0, flat.shape[1], step):
        block = slice(start, start + step)
        pooled = weighted @ flat_masks[:, block].to(weighted.dtype)
        fused[:, block] = (flat[:, block].clamp_min(TINY).log() + pooled).softmax(0)
    return fused.view_as(probabilities)


def best_of(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best probability of each pixel, and its class; ties go to the smaller class.

    Five times as fast as torch.max on a CPU: floats from zero up are ordered as their bits are,
    so the class goes into the last bits, and one maximum yields both.

    Args:
        probabilities: (C, H, W) float32, not below zero; overwritten.

    Returns:
        (H, W) float32, too small by less than C / 2^23 of itself, and (H, W) int32.
    """
    last = (1 << (len(probabilities) - 1).bit_length()) - 1
    numbers = torch.arange(len(probabilities), dtype=torch.int32, device=probabilities.device)
    bits = probabilities.view(torch.int32).bitwise_or_(last)
    best = bits.bitwise_xor_(numbers[:, None, None]).amax(0)
    return (best & ~last).view(torch.float32), last - (best & last)


def rank(shares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the best classes and their shares, (N, K) each; ties go to the smaller class.

    torch.topk leaves the order of ties open, so the classes are sorted stably instead.
    """
    ordered, classes = shares.sort(dim=1, descending=True, stable=True)
    return classes[:, :count], ordered[:, :count]
