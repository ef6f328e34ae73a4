"""Masks times class probabilities: the vote that names each mask (SSA, Chen et al. 2023)."""

import functools
from functools import partial

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.masks import pixel_loops
from semantic_fast_sam_ros.core.masks.prototypes import Shapes, at, looped
from semantic_fast_sam_ros.core.networks.resampling import Axis, line

VOTE_CHUNK_ELEMENTS = 1 << 25  # float32 elements of one block of the mask matrix
TINY = 1e-12  # keeps logarithms of probabilities finite
# Platt scaling of a mask network's score to the chance that its name for the mask is right:
# YOLOv8n-seg on CamVid train, LabelMeFacade and COCO, 1,619 masks (docs/evaluation.md).
NAME_OFFSET, NAME_SLOPE = 1.7, 0.73
RARE = 1e-6  # least share of an image that a class is taken to have


def hard_votes(masks: Shapes, labels: Tensor, classes: int) -> Tensor:
    """Return the share of each class among the points inside each mask, (N, C) float32.

    Args:
        masks: N, of any size.
        labels: (h, w) integers below `classes`, on points spread evenly over the image.
        classes: C.

    Returns:
        a row of zeros for a mask without a point.
    """
    if looped(masks, labels.shape):
        counts = masks.count(labels, classes)
    else:
        one_hot = functional.one_hot(labels.long(), classes).permute(2, 0, 1)
        counts = _summed(masks, one_hot)
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def soft_votes(masks: Shapes, probabilities: Tensor) -> Tensor:
    """Return the mean of probabilities (C, h, w), which sum to one, inside each mask, (N, C)."""
    if looped(masks, probabilities.shape[1:]):
        sums = masks.add_up(probabilities)
    else:
        sums = _summed(masks, probabilities)
    return sums / sums.sum(1, keepdim=True).clamp_min(TINY)


def _summed(masks: Shapes, maps: Tensor) -> Tensor:
    """Return what maps (C, h, w) sum to inside the masks, as a matrix product, (N, C) float32."""
    flat_masks, flat = at(masks, maps.shape[1:]).flatten(1), maps.flatten(1).T
    sums = torch.zeros((len(flat_masks), len(maps)), device=maps.device)
    step = max(1, VOTE_CHUNK_ELEMENTS // max(1, len(flat_masks), len(maps)))
    for start in range(0, len(flat), step):
        block = slice(start, start + step)
        # float32 counts pixels exactly up to 2^24 a block, which no block reaches.
        sums += flat_masks[:, block].float() @ flat[block].float()
    return sums


def name_reliability(scores: Tensor) -> Tensor:
    """Return how likely the names are right that a mask network gives masks of these scores."""
    return (NAME_OFFSET + NAME_SLOPE * scores.float().clamp(TINY, 1 - 1e-6).logit()).sigmoid()


def with_names(shares: Tensor, rows: Tensor, trust: Tensor) -> Tensor:
    """Let what the mask network takes each mask for join its votes.

    With the probability `trust` the name is right, else the votes are all that is known.

    Args:
        shares: (N, C) float32, summing to one, or zero where nobody voted.
        rows: (N,) int64 the class that each mask is taken for; -1: none of these.
        trust: (N,) float32 in [0, 1].
    """
    trust = (trust * (rows >= 0))[:, None]
    named = functional.one_hot(rows.clamp_min(0), shares.shape[1])
    return (1 - trust) * shares + trust * named


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


def fuse(masks: Shapes, probabilities: Tensor, evidence: Tensor, trust: Tensor) -> Tensor:
    """Weigh what all masks over a pixel say into its own class probabilities.

    A logarithmic opinion pool (Genest and Zidek, Statistical Science 1986, section 3):
    log q = log p + sum over masks m that cover the pixel of trust_m evidence_m, then summing
    to one again. Overlapping masks add up, and none covers another.

    Args:
        masks: N, of any size.
        probabilities: (C, h, w) float32, on points spread evenly over the image.
        evidence: (N, C) float32, of each mask for each class; from `evidence`.
        trust: (N,) float32, 0 = the mask is not heard.

    Returns:
        (C, h, w) float32, summing to one over C.
    """
    weighted = trust[:, None] * evidence
    if looped(masks, probabilities.shape[1:]):
        logits = probabilities.clamp_min(TINY).log_()
        masks.spread(weighted, logits)
        return logits.softmax(0)
    flat_masks, flat = at(masks, probabilities.shape[1:]).flatten(1), probabilities.flatten(1)
    fused = torch.empty_like(flat)
    step = max(1, VOTE_CHUNK_ELEMENTS // max(1, len(flat_masks)))
    for start in range(0, flat.shape[1], step):
        block = slice(start, start + step)
        pooled = weighted.T @ flat_masks[:, block].to(weighted.dtype)
        fused[:, block] = (flat[:, block].clamp_min(TINY).log() + pooled).softmax(0)
    return fused.view_as(probabilities)


def most_likely(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the best class of each pixel and its probability; ties go to the smaller class.

    As a softmax over bilinearly interpolated logits and its maximum, without ever holding all
    classes of all pixels.

    Args:
        logits: (C, h, w) float32, finite, on points spread evenly over the image.
        size: height and width of the image.

    Returns:
        probability (height, width) float32, and class (height, width) int32.
    """
    (height, width), samples, device = size, logits.shape[1:], logits.device
    probability = logits.new_empty(size)
    best = torch.empty(size, dtype=torch.int32, device=device)
    if jit.suits(device):
        lines = (line(Axis(n, m / n, 0.0), n, m)[1] for n, m in zip(size, samples, strict=True))
        arrays = (logits.contiguous().numpy(), *lines, probability.numpy(), best.numpy())
        jit.in_bands(partial(pixel_loops.label_rows, *arrays), height)
        return probability, best
    # Columns by a matrix product, rows by block: each takes the two nearest samples.
    wide = logits @ _interpolation(samples[1], width, device) if width != samples[1] else logits
    upper, lower, share = _neighbours(samples[0], height, device)
    share = share[:, None]
    step = max(1, VOTE_CHUNK_ELEMENTS // (len(logits) * width))
    for start in range(0, height, step):
        rows = slice(start, start + step)
        scores = torch.lerp(wide[:, upper[rows]], wide[:, lower[rows]], share[rows])
        highest, best[rows] = scores.max(0)
        torch.reciprocal((scores - highest).exp_().sum(0), out=probability[rows])
    return probability, best


@functools.lru_cache(maxsize=16)  # the same few sizes, image after image
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
