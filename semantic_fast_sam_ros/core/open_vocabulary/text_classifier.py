"""A vocabulary as a matrix: texts encoded once, then every mask is named by one product."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.masks.types import MaskLabels
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import Adapted
from semantic_fast_sam_ros.core.settings.models import ClipSettings
from semantic_fast_sam_ros.core.settings.vocabulary import (
    UNLABELLED,
    SemanticClass,
    Vocabulary,
    colour_of,
)
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

TEMPLATES: dict[str, tuple[str, ...]] = {
    'none': ('{}',),
    'photo': ('a photo of a {}.', 'a photo of the {}.', 'a cropped photo of a {}.'),
    'many': (
        'a photo of a {}.',
        'a photo of the {}.',
        'a cropped photo of a {}.',
        'a cropped photo of the {}.',
        'a blurry photo of a {}.',
        'a low resolution photo of a {}.',
        'a close-up photo of a {}.',
        'a photo of one {}.',
        'a photo of many {}.',
        'a bad photo of a {}.',
        'a photo of a {} in the street.',
        'there is a {} in the scene.',
    ),
}


class TextEncoder(Protocol):
    """Anything that turns texts into unit vectors."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return (T, dim) float32 unit vectors."""
        ...


@dataclass(frozen=True)
class TextClassifier:
    """A vocabulary and what is computed of it once; swapped as a whole, never changed."""

    vocabulary: Vocabulary
    looks: tuple[tuple[str, ...], ...]  # the names of each look of all classes and negatives
    weights: Tensor  # (dim, L) float32, unit columns: the looks
    owners: Tensor  # (L,) int64, the class that each look belongs to
    ids: Tensor  # (C,) int64 published ids, 0 for negatives
    minimum: Tensor  # (C,) float32, below it a mask stays unlabelled


def build_classifier(
    encoder: TextEncoder, vocabulary: Vocabulary, templates: Sequence[str], negatives: str = ''
) -> TextClassifier:
    """Encode a vocabulary: mean over templates and synonyms, L2-normalised.

    Ensembling as in Radford et al., Learning transferable visual models, 2021, section 3.1.4.

    The members of a group are looks of their own: not their vectors are summed but their
    probabilities.

    Args:
        encoder: of texts.
        vocabulary: classes; those marked negative come out unlabelled.
        templates: each with one `{}`.
        negatives: more of them, as a list `wall, floor | ground`; names that the vocabulary
            has are left out.
    """
    classes = [*vocabulary.classes, *extra_negatives(vocabulary, negatives)]
    looks = [look for c in classes for look in c.appearances]
    owners = [row for row, c in enumerate(classes) for _ in c.appearances]
    vectors = look_vectors(encoder, looks, templates)
    device = vectors.device
    return TextClassifier(
        vocabulary,
        tuple(looks),
        vectors.T.contiguous(),
        torch.tensor(owners, device=device),
        torch.tensor([UNLABELLED if c.negative else c.id for c in classes], device=device),
        torch.tensor([c.minimum_confidence for c in classes], device=device),
    )


def all_texts(vocabulary: Vocabulary, templates: Sequence[str], negatives: str = '') -> list[str]:
    """Return what `build_classifier` has encoded, and the classes' own names, each once."""
    classes = [*vocabulary.classes, *extra_negatives(vocabulary, negatives)]
    looks = [look for c in classes for look in (c.names, *c.appearances)]
    return list(
        dict.fromkeys(t.format(name) for look in looks for name in look for t in templates)
    )


def look_vectors(
    encoder: TextEncoder, looks: Sequence[Sequence[str]], templates: Sequence[str]
) -> Tensor:
    """Return the unit vector of each look's names in all templates, (L, dim) float32."""
    texts = [t.format(name) for look in looks for name in look for t in templates]
    rows = [row for row, look in enumerate(looks) for _ in range(len(look) * len(templates))]
    vectors = encoder.encode_texts(texts)
    sums = vectors.new_zeros((len(looks), vectors.shape[1]))
    sums.index_add_(0, torch.tensor(rows, device=vectors.device), vectors)
    return functional.normalize(sums, dim=1)


def name_masks(
    vectors: Tensor,
    mask_scores: Tensor,
    classifier: TextClassifier,
    settings: ClipSettings,
    scale: float,
    hypotheses: int,
    adapted: Adapted | None = None,
) -> MaskLabels:
    """Name masks by their unit vectors.

    p = softmax(scale x cosine) over all looks, negatives among them, summed by class. A mask's
    scores are p x (1 - p2 / p1)^margin_weight x mask_score^mask_score_weight, where p1 and p2
    belong to its best two. If the first score is below the minimum, or the best class is a
    negative, the mask is unlabelled.

    Args:
        vectors: (N, dim) float32.
        mask_scores: (N,) float32 in [0, 1].
        classifier: of the vocabulary.
        settings: temperature, weights and minimum as they stand for this image.
        scale: the model's own, used where the settings give no temperature.
        hypotheses: ranked classes to report.
        adapted: the looks, their frequencies and the temperature as they were learned; None: as
            the vocabulary says.
    """
    scale = sharpness(settings, scale)
    if adapted is None:
        looks = (scale * (vectors @ classifier.weights)).softmax(1)
    else:
        looks = (adapted.logits(vectors, scale) / adapted.temperature).softmax(1)
    shares = looks.new_zeros((len(looks), len(classifier.ids)))
    shares.index_add_(1, classifier.owners, looks)
    classes, ranked = voting.rank(shares, max(2, hypotheses))
    margin = (
        1 - ranked[:, 1] / ranked[:, 0] if ranked.shape[1] > 1 else torch.ones_like(mask_scores)
    )
    trust = margin.pow(settings.margin_weight)
    trust = trust * mask_scores.float().clamp(0, 1).pow(settings.mask_score_weight)
    scores = ranked[:, :hypotheses] * trust[:, None]
    ids = classifier.ids[classes[:, :hypotheses]]
    minimum = classifier.minimum[classes[:, 0]].clamp_min(settings.minimum_confidence)
    first = torch.where(scores[:, 0] >= minimum, ids[:, 0], UNLABELLED)
    ids = torch.cat([first[:, None], ids[:, 1:]], 1)
    return MaskLabels(ids, scores, torch.ones_like(first, dtype=torch.bool))


def sharpness(settings: ClipSettings, scale: float) -> float:
    """Return what cosines are multiplied by: as the settings say, else the model's own scale."""
    return 1 / settings.temperature if settings.temperature else scale


def extra_negatives(
    vocabulary: Vocabulary, text: str, setting: str = 'clip.negatives'
) -> list[SemanticClass]:
    """Return the negatives of a list `wall, floor | ground` that the vocabulary does not have.

    Raises:
        ConfigError: it is no list of names.
    """
    if not text.strip():
        return []
    try:
        extra = parse_list(text)
    except ConfigError as error:
        raise ConfigError(f'{setting}: {error}') from error
    return [
        SemanticClass(c.id, c.name, colour_of(0), c.prompts, negative=True)
        for c in extra.classes
        if not any(map(vocabulary.find, c.names))
    ]
