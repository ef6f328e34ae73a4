"""Hybrid: a closed-set segmenter for the names it knows, mostly stuff, and CLIP for the rest."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion
from semantic_fast_sam_ros.core.closed_set.dense import DenseSegmenter, published_classes
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import State
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller, encode_masks
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary


@dataclass(frozen=True)
class PreparedNames:
    """A vocabulary, and what each branch makes of its part."""

    vocabulary: Vocabulary
    dense: ClosedSetLabeller | None  # None: no name is the segmenter's
    clip: ClipLabeller | None  # None: all names are


class HybridLabeller:
    """Let the segmenter name what it knows; CLIP names the masks that are left."""

    def __init__(
        self, segmenter: DenseSegmenter, model: ClipModel, vocabulary: Vocabulary, config: Config
    ) -> None:
        """Share the names out and encode CLIP's.

        Raises:
            ConfigError: as `check`, or clip.negatives is no list of names.
        """
        self._segmenter, self.model, self._config = segmenter, model, config
        self.use(self.prepare(vocabulary))

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        return self._names.vocabulary

    @property
    def networks(self) -> tuple[object, ...]:
        """What runs the networks."""
        return self._segmenter, self.model

    def check(self, vocabulary: Vocabulary) -> None:
        """Refuse names that are to come from the segmenter and are not of its classes.

        Raises:
            ConfigError: there is such a name, or CLIP cannot tell two of its own apart.
        """
        for c in vocabulary.classes:
            if c.source == 'dense' and not self._knows(c):
                known = published_classes(self._segmenter)
                raise ConfigError(
                    f'{c.name!r} has the source dense, and is not a class of the dense model'
                    + suggestion(c.name, known)
                )
        by_clip = tuple(c for c in vocabulary.classes if not self._is_dense(c))
        if by_clip and self.model.reads_at_once:
            templates = TEMPLATES[self._config.clip.templates]
            self.model.require_distinct(Vocabulary(by_clip), templates)

    def prepare(self, vocabulary: Vocabulary) -> PreparedNames:
        """Encode a vocabulary for `use`. Slow; may run while another thread labels."""
        self.check(vocabulary)
        by_dense = [c for c in vocabulary.classes if self._is_dense(c)]
        by_clip = [c for c in vocabulary.classes if not self._is_dense(c)]
        dense = clip = None
        if by_dense:
            part = Vocabulary(tuple(by_dense))
            dense = ClosedSetLabeller(self._segmenter, part, self._config.vote)
        if by_clip:
            clip = ClipLabeller(self.model, Vocabulary(tuple(by_clip)), self._config)
        return PreparedNames(vocabulary, dense, clip)

    def use(self, prepared: PreparedNames) -> None:
        """Name masks by this vocabulary from the next image on."""
        self._names = prepared
        self.update(self._config)

    def update(self, config: Config) -> None:
        """Take over the live settings."""
        self._config = config
        if self._names.dense is not None:
            self._names.dense.settings = config.vote
        if self._names.clip is not None:
            self._names.clip.update(config)

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB, and the segmenter's pixels."""
        return self._label(image, proposals, lambda clip, left: clip.label(image, left))

    def label_after(
        self, image: Tensor, proposals: MaskProposals, before: State | None
    ) -> tuple[MaskLabels, State | None]:
        """Name masks as `label` does; see `ClipLabeller.label_after`."""
        state = before

        def by_clip(clip: ClipLabeller, left: MaskProposals) -> MaskLabels:
            nonlocal state
            labels, state = clip.label_after(image, left, state)
            return labels

        return self._label(image, proposals, by_clip), state

    def _label(
        self,
        image: Tensor,
        proposals: MaskProposals,
        by_clip: Callable[[ClipLabeller, MaskProposals], MaskLabels],
    ) -> MaskLabels:
        dense, clip = self._names.dense, self._names.clip
        if dense is None:
            assert clip is not None
            return by_clip(clip, proposals)
        labels = dense.label(image, proposals)
        if clip is None:
            return labels
        left = labels.class_ids[:, 0] == 0
        return labels.replaced(left, by_clip(clip, proposals.take(left)))

    def encode(self, image: Tensor, proposals: MaskProposals) -> Tensor:
        """Return the unit vectors of the masks, those that the segmenter names among them."""
        return encode_masks(self.model, image, proposals, self._config.clip)

    def _is_dense(self, c: SemanticClass) -> bool:
        return c.source == 'dense' or (not c.source and self._knows(c))

    def _knows(self, c: SemanticClass) -> bool:
        own = Vocabulary((c,))
        return any(own.find(name) for name in published_classes(self._segmenter))
