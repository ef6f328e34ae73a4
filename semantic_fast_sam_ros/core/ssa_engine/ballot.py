"""The arithmetic of the SSA-engine: candidates by mask, the best of them, their votes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.closed_set import voting


@dataclass(frozen=True)
class Ballot:
    """The names left to vote for, best first by CLIP, then by CLIPSeg."""

    index: Tensor  # (N, K) int64 into the names of the image
    valid: Tensor  # (N, K) bool: a mask may have fewer than K candidates
    scores: Tensor  # (N, K) float32

    def reordered(self, order: Tensor) -> 'Ballot':
        """Return the ballot with its columns in another order, (N, K) int64."""
        columns = (t.gather(1, order) for t in (self.index, self.valid, self.scores))
        return Ballot(*columns)


def membership(candidates: Sequence[Sequence[str]], names: Sequence[str]) -> Tensor:
    """Return which of the names are candidates of which mask, (N, V) bool."""
    column = {name: i for i, name in enumerate(names)}
    allowed = torch.zeros((len(candidates), len(names)), dtype=torch.bool)
    for row, found in enumerate(candidates):
        allowed[row, [column[name] for name in found]] = True
    return allowed


def shortlist(similar: Tensor, allowed: Tensor, count: int) -> Ballot:
    """Leave each mask its best candidates; of equal ones the earlier name.

    Args:
        similar: (N, V) float32, how well each name fits the mask's crop.
        allowed: (N, V) bool, the candidates of each mask.
        count: how many to leave.
    """
    index, scores = voting.rank(similar.masked_fill(~allowed, -torch.inf), count)
    return Ballot(index, allowed.gather(1, index), scores)


def count_votes(logits: Tensor, inside: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Count what the pixels inside the masks say of K names, as shares.

    Args:
        logits: (N, K, S, S) float32.
        inside: (N, S, S) bool; where a mask has no pixel, all of its crop votes.
        valid: (N, K) bool, the names that may be voted for.

    Returns:
        the share of each mask's pixels where a name is the best one, and the mean of its softmax
        over them, (N, K) float32 each.
    """
    inside = inside | ~inside.flatten(1).any(1)[:, None, None]
    logits = logits.masked_fill(~valid[:, :, None, None], -torch.inf)
    numbers = torch.arange(logits.shape[1], device=logits.device)[None, :, None, None]
    winners = (logits.argmax(1, keepdim=True) == numbers) & inside[:, None]
    pixels = inside.flatten(1).sum(1)[:, None]
    shares = logits.softmax(1).nan_to_num(0) * inside[:, None]
    return winners.sum((2, 3)) / pixels, shares.sum((2, 3)) / pixels
