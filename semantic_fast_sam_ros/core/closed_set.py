"""Closed-set labelling: a dense segmenter votes inside each mask (SFS, method.md section 2)."""

from dataclasses import replace

import torch
from torch import Tensor

from semantic_fast_sam_ros.core import voting
from semantic_fast_sam_ros.core.dense import DenseMap, DenseSegmenter
from semantic_fast_sam_ros.core.errors import ConfigError
from semantic_fast_sam_ros.core.masks import topmost
from semantic_fast_sam_ros.core.model_settings import VoteSettings
from semantic_fast_sam_ros.core.types import MaskLabels, MaskProposals, PixelLabels
from semantic_fast_sam_ros.core.vocabulary import (
    Vocabulary,
    apply_groups,
    from_names,
    without_repeats,
)

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
        self._segmenter = segmenter
        targets = [vocabulary.find(name) for name in segmenter.class_names]
        if not any(targets):
            raise ConfigError(
                f'the vocabulary ({", ".join(vocabulary.names[:10])}, ...) has none of the '
                f"model's classes ({', '.join(segmenter.class_names[:10])}, ...)"
            )
        # Row 0 collects the classes that the vocabulary leaves out, row i its i-th class.
        rows = {c.id: i for i, c in enumerate(vocabulary.classes, start=1)}
        self._rows = torch.tensor([rows[t.id] if t else 0 for t in targets])
        self._minimum = torch.tensor([0.0, *(c.minimum_confidence for c in vocabulary.classes)])
        self.renumber(vocabulary)
        self.unmatched = tuple(
            n for n, t in zip(segmenter.class_names, targets, strict=True) if t is None
        )

    def renumber(self, vocabulary: Vocabulary) -> None:
        """Publish the same classes, in the same order, under other ids."""
        self.vocabulary = vocabulary
        self._ids = torch.tensor([0, *(0 if c.negative else c.id for c in vocabulary.classes)])

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB, and all its pixels."""
        return self.vote(self._segmenter.segment(image), proposals)

    def vote(self, dense: DenseMap, proposals: MaskProposals) -> MaskLabels:
        """Let a dense map name the masks and the pixels."""
        grid = self._grid(dense, proposals.size)
        masks = proposals.masks_at(grid)
        probabilities = self._published(dense, grid)
        votes = voting.collect(masks, probabilities, probabilities.max(0).indices)
        device = probabilities.device
        ids, minimum = self._ids.to(device), self._minimum.to(device)
        shares = votes.hard if self.settings.mode == 'hard' else votes.soft
        classes, scores = voting.rank(shares, self.settings.hypotheses)
        paints = self._painting(votes, classes)
        if self.settings.mode == 'fusion':
            probabilities = self._fused(masks, probabilities, votes, proposals.scores)
        classes[:, 0] *= scores[:, 0] >= minimum[classes[:, 0]]
        pixels = None
        if self.settings.keep_dense:
            pixels = _pixels(probabilities, ids, minimum, proposals.size)
        elif self.settings.mode == 'fusion':
            pixels = _pixels(probabilities, ids, minimum, proposals.size)
            covered = topmost(proposals.shapes) > 0
            pixels = PixelLabels(pixels.class_ids * covered, pixels.confidence * covered)
        return MaskLabels(ids[classes], scores, paints, pixels)

    def _grid(self, dense: DenseMap, size: tuple[int, int]) -> tuple[int, int]:
        """Return the grid of points that vote: the dense map's own, where it is coarser."""
        own = (int(dense.scores.shape[1]), int(dense.scores.shape[2]))
        if not self.settings.every_pixel and own[0] * own[1] < size[0] * size[1]:
            size = own
        return _bounded(dense.scores.shape[0], size)

    def _painting(self, votes: voting.Votes, classes: Tensor) -> Tensor:
        """Return which masks paint their class over the pixels, (N,): with fusion, none."""
        if self.settings.mode == 'fusion':
            return classes[:, 0] < 0
        purity = votes.hard.gather(1, classes[:, :1])[:, 0]
        heard = votes.hard.any(1)  # a mask may fall between the points of a coarser grid
        return heard & (purity >= self.settings.minimum_purity)

    def _fused(
        self, masks: Tensor, probabilities: Tensor, votes: voting.Votes, scores: Tensor
    ) -> Tensor:
        image = probabilities.mean((1, 2))
        evidence = voting.evidence(votes.soft, image, self.settings.fusion_floor)
        trust = self.settings.fusion_weight * scores
        return voting.fuse(masks, probabilities, evidence, trust)

    def _published(self, dense: DenseMap, size: tuple[int, int]) -> Tensor:
        """Return published classes' probabilities, (1 + classes, h, w), row 0 = unlabelled."""
        probabilities = dense.probabilities(size)
        merged = probabilities.new_zeros((len(self._ids), *probabilities.shape[1:]))
        return merged.index_add_(0, self._rows.to(probabilities.device), probabilities)


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
    logits = probabilities.clamp_min(voting.TINY).log_()
    confidence, rows = voting.most_likely(logits, size)
    if minimum.any():
        rows = rows * (confidence >= minimum[rows])
    return PixelLabels(ids.int()[rows], confidence)


def _bounded(classes: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return a size with its shape at which so many classes' probabilities fit in memory."""
    values = classes * size[0] * size[1]
    if values <= MAX_PROBABILITY_VALUES:
        return size
    gain = (MAX_PROBABILITY_VALUES / values) ** 0.5
    return max(1, round(size[0] * gain)), max(1, round(size[1] * gain))
