"""Open vocabulary by CLIP on mask crops: one batch of crops, one matrix product."""

from dataclasses import replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary import adaptation, crops, text_classifier
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import Adapted, State
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import (
    TEMPLATES,
    TextClassifier,
    all_texts,
    build_classifier,
    name_masks,
)
from semantic_fast_sam_ros.core.settings.config import Config, parse_scales
from semantic_fast_sam_ros.core.settings.models import ClipSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary


class ClipLabeller:
    """Name each mask by the CLIP vector of its crop."""

    def __init__(self, model: ClipModel, vocabulary: Vocabulary, config: Config) -> None:
        """Encode the vocabulary.

        Raises:
            ConfigError: clip.negatives is no list of names, or names are too long to differ.
        """
        self.model = model
        self._config = config
        self._classifier = self.prepare(vocabulary)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        return self._classifier.vocabulary

    @property
    def networks(self) -> tuple[object, ...]:
        """What runs the network."""
        return (self.model,)

    def check(self, vocabulary: Vocabulary) -> None:
        """Refuse names that CLIP cannot tell apart: long ones that begin alike.

        Quick: where the tokenizer is yet to be loaded, `prepare` finds out.
        """
        if self.model.reads_at_once:
            self.model.require_distinct(vocabulary, TEMPLATES[self._config.clip.templates])

    def prepare(self, vocabulary: Vocabulary) -> TextClassifier:
        """Encode a vocabulary for `use`. Slow; may run while another thread labels.

        Raises:
            ConfigError: as `check`.
        """
        templates, negatives = TEMPLATES[self._config.clip.templates], self._config.clip.negatives
        self.model.require_distinct(vocabulary, templates)
        self.model.remember(all_texts(vocabulary, templates, negatives))
        return build_classifier(self.model, vocabulary, templates, negatives)

    def use(self, prepared: TextClassifier) -> None:
        """Name masks by this vocabulary from the next image on."""
        self._classifier = prepared

    def update(self, config: Config) -> None:
        """Take over the live settings."""
        self._config = config

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB on the labeller's device."""
        return self._name(self.encode(image, proposals), proposals)

    def label_after(
        self, image: Tensor, proposals: MaskProposals, before: State | None
    ) -> tuple[MaskLabels, State]:
        """Name masks as `label` does, by what was learned before; return what is known then."""
        vectors = self.encode(image, proposals)
        clip, names = self._config.clip, self._classifier
        state = before or adaptation.empty(vectors.shape[1], vectors.device)
        state = adaptation.known(state, names.looks)
        own = adaptation.part(state, names.looks)
        found = adaptation.adapted(own, names.weights, clip.ul_tta)
        sharpness = text_classifier.sharpness(clip, self.model.scale)
        own = adaptation.take_in(own, vectors, names.weights, found, sharpness, clip.ul_tta)
        return self._name(vectors, proposals, found), adaptation.merged(state, own)

    def _name(
        self, vectors: Tensor, proposals: MaskProposals, adapted: Adapted | None = None
    ) -> MaskLabels:
        labels = name_masks(
            vectors,
            proposals.scores,
            self._classifier,
            self._config.clip,
            self.model.scale,
            self._config.vote.hypotheses,
            adapted,
        )
        return replace(labels, features=vectors)

    def encode(self, image: Tensor, proposals: MaskProposals) -> Tensor:
        """Return the unit vectors of the masks, (N, dim) float32: the mean over the scales."""
        return encode_masks(self.model, image, proposals, self._config.clip)


def encode_masks(
    model: ClipModel, image: Tensor, proposals: MaskProposals, settings: ClipSettings
) -> Tensor:
    """Return the unit vectors of the masks' crops, (N, dim) float32: the mean over the scales."""
    if not len(proposals):
        return image.new_zeros((0, model.dimension), dtype=torch.float32)
    # Chunks, so that memory is bounded by the batch and not by the number of masks.
    parts = [
        _encode_chunk(model, image, proposals.take(slice(start, start + settings.batch)), settings)
        for start in range(0, len(proposals), settings.batch)
    ]
    return torch.cat(parts)


def _encode_chunk(
    model: ClipModel, image: Tensor, part: MaskProposals, settings: ClipSettings
) -> Tensor:
    total = torch.zeros((), device=image.device)
    for scale in parse_scales(settings.scales):
        cut = crops.mask_crops(
            image, part.shapes, part.boxes, model.size, scale, settings.fill, model.mean
        )
        total = total + model.encode_crops(cut)
    return functional.normalize(total, dim=1)
