"""Losses on labels that allow several classes: what a set does not tell apart costs nothing."""

import torch
import torch.nn.functional as functional
from torch import Tensor

FORBIDDEN = -1e4  # log of the allowance of a class that a mark rules out
FEWEST = 10  # pixels of a mark for a term of its own in the Lovasz loss
DRAWN = 16384  # pixels for the Lovasz loss, which sorts them once a mark


def _known(logits: Tensor, marks: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities (P, C) and marks (P,) of the pixels whose label says something."""
    flat = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    marks = marks.reshape(-1)
    known = marks.nonzero()[:, 0]
    return flat[known].log_softmax(1), marks[known]


def marginal_cross_entropy(
    logits: Tensor, marks: Tensor, allowances: Tensor, weights: Tensor
) -> Tensor:
    """Return the weighted mean of -log of the probability of all classes that a mark allows.

    Args:
        logits: (N, C, H, W).
        marks: (N, H, W) rows of `allowances`; 0 says nothing.
        allowances: (M, C), 0..1.
        weights: (M,) of the marks.
    """
    found, marks = _known(logits, marks)
    allowed = allowances.log().clamp(min=FORBIDDEN)[marks]
    weight = weights[marks]
    return -((found + allowed).logsumexp(1) * weight).sum() / weight.sum().clamp(min=1)


def marginal_lovasz(logits: Tensor, marks: Tensor, allowances: Tensor) -> Tensor:
    """Lovasz-Softmax (Berman et al., CVPR 2018, algorithm 1) over the marks that are present.

    A mark's probability is that of the classes it allows. Pixels of other marks that allow one of
    these classes too are left out of its term. Shapes as in `marginal_cross_entropy`.
    """
    found, marks = _known(logits, marks)
    drawn = torch.randperm(len(marks))[:DRAWN]
    found, marks = found[drawn].exp(), marks[drawn]
    apart = ((allowances > 0).float() @ (allowances > 0).float().T) == 0
    losses = []
    for mark, count in enumerate(torch.bincount(marks).tolist()):
        if count < FEWEST:
            continue
        chosen = (apart[mark][marks] | (marks == mark)).nonzero()[:, 0]
        truth = (marks[chosen] == mark).float()
        losses.append(_lovasz((truth - found[chosen] @ allowances[mark]).abs(), truth))
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def _lovasz(errors: Tensor, truth: Tensor) -> Tensor:
    """Return the Lovasz extension of 1 - IoU for errors and truth, (P,) each."""
    errors, order = errors.sort(descending=True)
    truth = truth[order]
    intersection = truth.sum() - truth.cumsum(0)
    jaccard = 1 - intersection / (truth.sum() + (1 - truth).cumsum(0))
    return (errors * torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])).sum()


def training_loss(
    outputs: tuple[Tensor, Tensor], marks: Tensor, allowances: Tensor, weights: Tensor
) -> Tensor:
    """Loss of the main logits at half the image's size, plus 0.3 of the auxiliary ones'.

    Args:
        outputs: main (N, C, H/4, W/4) and auxiliary (N, C, h, w) logits of any size.
        marks: (N, H/2, W/2).
        allowances, weights: as in `marginal_cross_entropy`.
    """
    main, auxiliary = outputs
    large = functional.interpolate(main, marks.shape[1:], mode='bilinear')
    small_marks = marks[:, ::2, ::2]
    small = functional.interpolate(auxiliary, small_marks.shape[1:], mode='bilinear')
    return (
        marginal_cross_entropy(large, marks, allowances, weights)
        + marginal_lovasz(main, small_marks, allowances)
        + 0.3 * marginal_cross_entropy(small, small_marks, allowances, weights)
    )
