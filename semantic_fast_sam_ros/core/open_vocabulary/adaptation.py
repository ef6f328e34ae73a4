"""Names that settle into what is seen: the arithmetic of UL-TTA, in closed form.

After Kim, Ultra-Light Test-Time Adaptation for Vision-Language Models, arXiv 2511.09101: networks
stay frozen; of sure masks class prototypes, class priors and a temperature are learned, anchored
by the text vectors and a Dirichlet prior, and guarded against drift. Only the abstract was at
hand: the formulas are worked out here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.settings.adaptation import UlTtaSettings

Look = tuple[str, ...]  # the names of one text vector
TINY = 1e-12


@dataclass(frozen=True)
class State:
    """What was learned so far, a row a look that was ever asked for; never changed in place."""

    looks: tuple[Look, ...]
    sums: Tensor  # (K, dim) float32: vectors taken in, older ones fading
    counts: Tensor  # (K,) float32: how many masks that is
    seen: Tensor  # (K,) float32: the same, fading with every mask of any look
    taken: Tensor  # (K,) int64: masks taken in, none forgotten
    moved: Tensor  # (K,) float32: degrees between text vector and prototype at the last image
    margins: Tensor  # (2,) float32: sums of best minus second logit, as adapted and by the texts


@dataclass(frozen=True)
class Adapted:
    """A vocabulary as a state has it."""

    weights: Tensor  # (dim, L) float32, unit columns
    bias: Tensor  # (L,) float32, added to the logits
    temperature: Tensor  # () float32, divides logits to be reported

    def logits(self, vectors: Tensor, sharpness: float) -> Tensor:
        """Return the logits to decide by, (N, L), of unit vectors (N, dim)."""
        return sharpness * (vectors @ self.weights) + self.bias


def empty(dimensions: int, device: torch.device) -> State:
    """Return the state in which nothing was learned."""
    none = torch.zeros(0, device=device)
    return State(
        (),
        torch.zeros((0, dimensions), device=device),
        none,
        none,
        none.long(),
        none,
        torch.zeros(2, device=device),
    )


def known(state: State, looks: tuple[Look, ...]) -> State:
    """Return the state with a row for each of these looks; new ones have learned nothing."""
    new = [look for look in looks if look not in set(state.looks)]
    if not new:
        return state
    rows = len(new)
    return State(
        (*state.looks, *new),
        functional.pad(state.sums, (0, 0, 0, rows)),
        functional.pad(state.counts, (0, rows)),
        functional.pad(state.seen, (0, rows)),
        functional.pad(state.taken, (0, rows)),
        functional.pad(state.moved, (0, rows)),
        state.margins,
    )


def part(state: State, looks: tuple[Look, ...]) -> State:
    """Return the rows of these looks, in their order; all must be known."""
    if state.looks == looks:
        return state
    where = _rows(state, looks)
    return State(
        looks,
        state.sums[where],
        state.counts[where],
        state.seen[where],
        state.taken[where],
        state.moved[where],
        state.margins,
    )


def merged(state: State, changed: State) -> State:
    """Return the state with the rows of the changed part."""
    if state.looks == changed.looks:
        return changed
    where = _rows(state, changed.looks)
    return State(
        state.looks,
        state.sums.index_copy(0, where, changed.sums),
        state.counts.index_copy(0, where, changed.counts),
        state.seen.index_copy(0, where, changed.seen),
        state.taken.index_copy(0, where, changed.taken),
        state.moved.index_copy(0, where, changed.moved),
        changed.margins,
    )


def adapted(state: State, text: Tensor, settings: UlTtaSettings) -> Adapted:
    """Return what a state makes of text vectors, (dim, L) unit columns, a column a row of it."""
    vectors = prototypes(text.T, state.sums, state.counts, settings)
    return Adapted(
        vectors.T.contiguous(), log_priors(state.seen, settings), temperature(state, settings)
    )


def prototypes(text: Tensor, sums: Tensor, counts: Tensor, settings: UlTtaSettings) -> Tensor:
    """Return the posterior mean direction of each look, (L, dim) unit rows.

    The text vector weighs as `anchor` masks; what comes out is brought back to within `angle` of
    it. Images lie beside their texts by a gap that CLIP's training leaves, the same for all looks
    in the mean. It is taken off first: else looks of many masks would come nearer to every image.

    Args:
        text: (L, dim) unit rows.
        sums: (L, dim) of the vectors of masks.
        counts: (L,) how many masks that is.
        settings: anchor and angle.
    """
    gap = (sums - counts[:, None] * text).sum(0) / counts.sum().clamp_min(TINY)
    pull = (sums - counts[:, None] * gap) / settings.anchor
    along = (pull * text).sum(1)
    across = pull - along[:, None] * text
    sine = across.norm(dim=1)
    angle = torch.atan2(sine, 1 + along).clamp_max(math.radians(settings.angle))[:, None]
    found = angle.cos() * text + angle.sin() * across / sine.clamp_min(TINY)[:, None]
    return torch.where(angle > 0, functional.normalize(found, dim=1), text)


def log_priors(seen: Tensor, settings: UlTtaSettings) -> Tensor:
    """Return the logarithm of each look's share over that of equal shares, (L,).

    The mean of the Dirichlet posterior, moved towards equal shares until its divergence from them
    is within the bound. (It is convex, so that the share of the way is bound / divergence.)

    Args:
        seen: (L,) masks of each look.
        settings: prior_anchor and divergence.
    """
    if not len(seen):
        return seen
    count, anchor = len(seen), settings.prior_anchor
    ratio = (1 + count * seen / anchor) / (1 + seen.sum() / anchor)
    divergence = (ratio * ratio.log()).mean()
    share = (settings.divergence / divergence.clamp_min(TINY)).clamp_max(1.0)
    return (1 + share * (ratio - 1)).log()


def temperature(state: State, settings: UlTtaSettings) -> Tensor:
    """Return what logits are divided by before confidences are reported, ().

    Adapted logits are then as far apart as those of the texts, for which the model was calibrated.
    """
    adapted, text = 1 + state.margins / settings.prior_anchor
    ratio: Tensor = adapted / text
    return ratio.clamp(1 / settings.temperature, settings.temperature)


def take_in(
    state: State,
    vectors: Tensor,
    text: Tensor,
    found: Adapted,
    sharpness: float,
    settings: UlTtaSettings,
) -> State:
    """Return the state after the masks of an image.

    Args:
        state: its rows are the vocabulary's looks.
        vectors: (N, dim) unit vectors of the masks.
        text: (dim, L) text vectors, unit columns.
        found: what the state before made of them.
        sharpness: of cosines to logits.
        settings: gate, memory and so on.
    """
    if len(state.looks) < 2 or not len(vectors):
        return state  # where nothing was decided nothing can be learned
    logits = found.logits(vectors, sharpness)
    shares = logits.softmax(1)
    sure = (shares.amax(1, keepdim=True) >= settings.gate).float()
    said = shares * sure
    fresh, keep = said.sum(0), 1 - 1 / settings.memory
    fading = keep**fresh
    latest = torch.stack([_margins(logits), _margins(sharpness * (vectors @ text))])
    cosines = (found.weights * text).sum(0).clamp(-1, 1)
    chosen = functional.one_hot(logits.argmax(1), len(state.looks)) * sure.long()
    return State(
        state.looks,
        fading[:, None] * state.sums + said.T @ vectors,
        fading * state.counts + fresh,
        (keep ** (fresh.sum() / len(fresh))) * state.seen + fresh,
        state.taken + chosen.sum(0),
        torch.rad2deg(torch.arccos(cosines)),
        (keep ** (len(vectors) / len(fresh))) * state.margins + latest,
    )


def _rows(state: State, looks: Sequence[Look]) -> Tensor:
    where = {look: row for row, look in enumerate(state.looks)}
    return torch.tensor([where[look] for look in looks], device=state.sums.device)


def _margins(logits: Tensor) -> Tensor:
    best = logits.topk(2, dim=1).values
    return (best[:, 0] - best[:, 1]).sum()
