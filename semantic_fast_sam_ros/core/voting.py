"""Masks times class probabilities: the vote that names each mask (SSA, method.md section 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

VOTE_CHUNK_ELEMENTS = 1 << 25  # float32 elements of one block of the mask matrix
CACHED_ELEMENTS = 1 << 19  # float32 elements that a processor's own cache holds
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


def most_likely(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the best class of each pixel and its probability; ties go to the smaller class.

    As a softmax over bilinearly interpolated logits and its maximum, without ever holding all
    classes of all pixels, and about twice as fast on a CPU.

    Args:
        logits: (C, h, w) float32, finite, on points spread evenly over the image.
        size: height and width of the image.

    Returns:
        probability (height, width) float32, and class (height, width) int32.
    """
    classes, device = len(logits), logits.device
    (height, width), samples = size, logits.shape[1:]
    # Columns by a matrix product, rows by block: each takes the two nearest samples.
    wide = logits @ _interpolation(samples[1], width, device) if width != samples[1] else logits
    upper, lower, share = _neighbours(samples[0], height, device)
    share = share[:, None]
    ranks = torch.arange(classes, 0, -1, dtype=logits.dtype, device=device)[:, None, None]
    probability = logits.new_empty(size)
    best = torch.empty(size, dtype=torch.int32, device=device)
    block = CACHED_ELEMENTS if device.type == 'cpu' else VOTE_CHUNK_ELEMENTS
    step = max(1, block // (classes * width))
    for start in range(0, height, step):
        rows = slice(start, start + step)
        scores = wide.index_select(1, upper[rows])  # a third of the time of wide[:, ...]
        scores.lerp_(wide.index_select(1, lower[rows]), share[rows])
        scores.sub_(scores.amax(0)).exp_()
        torch.reciprocal(scores.sum(0), out=probability[rows])
        # Only the best have exp(0) = 1; rounding down leaves just them, cheaper than comparing.
        best[rows] = classes - scores.floor_().mul_(ranks).amax(0)
    return probability, best


def _neighbours(samples: int, points: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two samples round each of P points, and the second one's share, (P,) each."""
    place = (torch.arange(points, device=device) + 0.5) * (samples / points) - 0.5
    place = place.clamp(0, samples - 1)
    first = place.long()
    return first, (first + 1).clamp_max(samples - 1), place - first


def _interpolation(samples: int, points: int, device: torch.device) -> Tensor:
    """Return the matrix (samples, points) that interpolates linearly."""
    first, second, share = _neighbours(samples, points, device)
    column = torch.arange(points, device=device)
    matrix = share.new_zeros((samples, points))
    matrix[first, column] = 1 - share
    matrix[second, column] += share
    return matrix


def rank(shares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the best classes and their shares, (N, K) each; ties go to the smaller class.

    torch.topk leaves the order of ties open, so the classes are sorted stably instead.
    """
    ordered, classes = shares.sort(dim=1, descending=True, stable=True)
    return classes[:, :count], ordered[:, :count]
