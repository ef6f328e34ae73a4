"""Closed-set labelling: a dense segmenter votes inside each mask (SFS, arXiv 2604.20169)."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.closed_set.dense import DenseSegmenter
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.masks import pixel_loops
from semantic_fast_sam_ros.core.masks.painting import topmost
from semantic_fast_sam_ros.core.masks.prototypes import Shapes
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals, PixelLabels
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import (
    Vocabulary,
    apply_groups,
    from_names,
    without_repeats,
)

log = logging.getLogger(__name__)
# Above so many values the probabilities are computed on a coarser grid than the image's:
# 150 classes at 1920 x 1080 would be 1.2 GB a frame.
MAX_PROBABILITY_VALUES = 1 << 26


class ClosedSetLabeller:
    """Name masks by the votes of a dense segmenter's pixels."""

    def __init__(
        self, segmenter: DenseSegmenter, vocabulary: Vocabulary, settings: VoteSettings
    ) -> None:
        """Bind a segmenter's classes to the published ones.

        Raises:
            ConfigError: no class of the segmenter is in the vocabulary.
        """
        self.settings = settings
        self.segmenter = segmenter
        targets = [vocabulary.find(name) for name in segmenter.class_names]
        if not any(targets):
            raise ConfigError(
                f'the vocabulary ({", ".join(vocabulary.names[:10])}, ...) has none of the '
                f"model's classes ({', '.join(segmenter.class_names[:10])}, ...)"
            )
        # The published classes, behind one, if need be, that collects what they leave out.
        self._rest = [0] if None in targets else []
        rows = {c.id: i for i, c in enumerate(vocabulary.classes, start=len(self._rest))}
        self._rows = torch.tensor([rows[t.id] if t else 0 for t in targets])
        self._heard: Tensor | None = None  # row of each class of the mask network, -1 = none
        least = [c.minimum_confidence for c in vocabulary.classes]
        self._minimum = torch.tensor([*map(float, self._rest), *least])
        self.renumber(vocabulary)
        self.unmatched = tuple(
            n for n, t in zip(segmenter.class_names, targets, strict=True) if t is None
        )

    def hear(self, names: Sequence[str]) -> None:
        """Let masks vote for what their network takes them for.

        Args:
            names: of the classes that it tells apart, in its order; those that are not
                published do not vote.

        Raises:
            ConfigError: none of them is published.
        """
        targets = [self.vocabulary.find(name) for name in names]
        if not any(targets):
            raise ConfigError(
                f"none of the mask network's classes ({', '.join(names[:10])}, ...) is published "
                f'({", ".join(self.vocabulary.names[:10])}, ...): leave masks.names at ignore'
            )
        rows = {c.id: i for i, c in enumerate(self.vocabulary.classes, start=len(self._rest))}
        self._heard = torch.tensor([rows[t.id] if t else -1 for t in targets])

    @property
    def networks(self) -> tuple[object, ...]:
        """What runs the network."""
        return (self.segmenter,)

    def renumber(self, vocabulary: Vocabulary) -> None:
        """Publish the same classes, in the same order, under other ids."""
        self.vocabulary = vocabulary
        named = [0 if c.negative else c.id for c in vocabulary.classes]
        self._ids = torch.tensor([*self._rest, *named])

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB, and all its pixels."""
        return self.vote(self.segmenter.segment(image), proposals)

    def vote(self, dense: DenseMap, proposals: MaskProposals) -> MaskLabels:
        """Let a dense map name the masks and the pixels."""
        settings, size, masks = self.settings, proposals.size, proposals.shapes
        mode, least = self._rule(dense)
        probabilities = self._published(dense, self._grid(dense, size))
        shares, purity = (
            self._with_names(votes, proposals)
            for votes in self._votes(masks, probabilities, size, mode)
        )
        classes, scores = voting.rank(shares, settings.hypotheses)
        if mode == 'fusion':
            paints = classes[:, 0] < 0  # none: masks weigh in on the pixels instead
            probabilities = self._fused(masks, probabilities, shares, proposals.scores)
        else:
            # A mask may fall between the points of a coarser grid: nobody votes for it then.
            purest = purity.gather(1, classes[:, :1])[:, 0]
            paints = purity.any(1) & (purest >= least)
        ids, minimum = (t.to(probabilities.device) for t in (self._ids, self._minimum))
        class_ids = ids[classes]
        class_ids[:, 0] *= scores[:, 0] >= minimum[classes[:, 0]]
        pixels = None
        if settings.keep_dense or mode == 'fusion':
            pixels = _pixels(probabilities, ids, minimum, size)
        if pixels and not settings.keep_dense:
            covered = topmost(masks) > 0
            pixels = PixelLabels(pixels.class_ids * covered, pixels.confidence * covered)
        return MaskLabels(class_ids, scores, paints, pixels)

    def _rule(self, dense: DenseMap) -> tuple[str, float]:
        """Return how masks vote on a map, and from which purity they paint.

        Fusion has nothing to weigh where a map has no scores: masks vote as published.
        """
        if dense.finished and self.settings.mode == 'fusion':
            return 'hard', 0.0
        return 'hard' if dense.finished else self.settings.mode, self.settings.minimum_purity

    def _votes(
        self, masks: Shapes, probabilities: Tensor, size: tuple[int, int], mode: str
    ) -> tuple[Tensor, Tensor]:
        """Return the shares of the classes that rank them, and those that tell purity: (N, C)."""
        soft = probabilities.new_zeros(0)
        if mode != 'hard':
            soft = voting.soft_votes(masks, probabilities)
        if mode == 'fusion':
            return soft, soft
        if self.settings.every_pixel and probabilities.shape[1:] != size:
            labels = voting.most_likely(_logits(probabilities), size)[1]
        else:
            labels = probabilities.max(0).indices
        hard = voting.hard_votes(masks, labels, len(probabilities))
        return hard if mode == 'hard' else soft, hard

    def _with_names(self, votes: Tensor, proposals: MaskProposals) -> Tensor:
        if self._heard is None or proposals.classes is None:
            return votes
        rows = self._heard.to(votes.device)[proposals.classes]
        return voting.with_names(votes, rows, voting.name_reliability(proposals.scores))

    def _grid(self, dense: DenseMap, size: tuple[int, int]) -> tuple[int, int]:
        """Return the grid of points for the probabilities: the dense map's own, where coarser.

        The most likely class at each pixel can be had from logits on their own grid; mean
        probabilities over every pixel cannot, nor can interpolated probabilities.
        """
        own = (int(dense.scores.shape[1]), int(dense.scores.shape[2]))
        whole = self.settings.every_pixel and not (
            self.settings.mode == 'hard' and dense.are_logits
        )
        if not whole and own[0] * own[1] < size[0] * size[1]:
            size = own
        return _bounded(dense.scores.shape[0], size)

    def _fused(
        self, masks: Shapes, probabilities: Tensor, shares: Tensor, scores: Tensor
    ) -> Tensor:
        image = probabilities.mean((1, 2))
        evidence = voting.evidence(shares, image, self.settings.fusion_floor)
        trust = self.settings.fusion_weight * scores
        return voting.fuse(masks, probabilities, evidence, trust)

    def _published(self, dense: DenseMap, size: tuple[int, int]) -> Tensor:
        """Return the probabilities of the published classes, (C, h, w), see `_rest`."""
        probabilities = dense.probabilities(size)
        merged = probabilities.new_zeros((len(self._ids), *probabilities.shape[1:]))
        return merged.index_add_(0, self._rows.to(probabilities.device), probabilities)


def _tell_unknown(vocabulary: Vocabulary, class_names: tuple[str, ...]) -> None:
    """Warn of names that no pixel can get."""
    known = [vocabulary.find(name) for name in class_names]
    unknown = [c.name for c in vocabulary.classes if c not in known and not c.negative]
    if unknown and any(known):
        log.warning(
            'the dense model has no class for %s, which it never finds: its classes are %s',
            ', '.join(unknown),
            ', '.join(class_names),
        )


def closed_set_vocabulary(
    class_names: tuple[str, ...], wanted: Vocabulary | None, groups: dict[str, list[str]]
) -> Vocabulary:
    """Return the classes to publish for a model: its own, or the wanted ones, then grouped.

    Raises:
        ConfigError: a group names a class that the model lacks.
    """
    own = from_names(without_repeats(class_names))
    base = wanted or own
    if not groups:
        _tell_unknown(base, class_names)
        return base
    if wanted is not None:  # names as the model has them, colours as the vocabulary has them
        own = Vocabulary(
            tuple(
                replace(c, colour=found.colour, prompts=found.names)
                if (found := wanted.find(c.name))
                else c
                for c in own.classes
            )
        )
    return apply_groups(own, groups)


def _pixels(
    probabilities: Tensor, ids: Tensor, minimum: Tensor, size: tuple[int, int]
) -> PixelLabels:
    """Label every pixel of an image by probabilities on a grid, (C, h, w), of ids (C,).

    Pixels below the minimum confidence (C,) of their class stay unlabelled.

    Logarithms are interpolated, as transformers' own post-processing interpolates logits.
    """
    probability, best = voting.most_likely(_logits(probabilities), size)
    if jit.suits(best.device):
        arrays = [t.numpy() for t in (best, probability, ids.int(), minimum)]
        jit.in_bands(partial(pixel_loops.name_rows, *arrays), size[0])
        return PixelLabels(best, probability)
    index = best.long()
    found = ids.int()[index] * (probability >= minimum[index])
    return PixelLabels(found, probability * (found > 0))


def _logits(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(voting.TINY).log_()


def _bounded(classes: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return a size with its shape at which so many classes' probabilities fit in memory."""
    values = classes * size[0] * size[1]
    if values <= MAX_PROBABILITY_VALUES:
        return size
    gain = (MAX_PROBABILITY_VALUES / values) ** 0.5
    return max(1, round(size[0] * gain)), max(1, round(size[1] * gain))
