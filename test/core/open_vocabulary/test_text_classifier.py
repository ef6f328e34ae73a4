"""Vectors to names: softmax, margin, mask score, minimum, negatives, ties; hand-computed."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import build_classifier, name_masks
from semantic_fast_sam_ros.core.settings.models import ClipSettings
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

AXES = {'road': 0, 'street': 1, 'car': 2, 'dog': 3, 'wall': 4}
ONE = torch.ones(1)


class Axes:
    """Encodes each known name as a unit vector of its own, whatever the template."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return (T, 5) unit vectors."""
        found = [next(i for name, i in AXES.items() if name in text) for text in texts]
        return torch.eye(5)[found]


def along(**parts: float) -> Tensor:
    """Return a vector (1, 5) by its parts along the names."""
    vector = torch.zeros(1, 5)
    for name, part in parts.items():
        vector[0, AXES[name]] = part
    return vector


def vocabulary(*classes: SemanticClass) -> Vocabulary:
    return Vocabulary(classes)


def test_class_is_the_mean_of_its_names_and_templates() -> None:
    names = parse_list('road | street, car')
    classifier = build_classifier(Axes(), names, ['{}', 'a {}.'])
    expected = torch.tensor([[0.5**0.5, 0.5**0.5, 0, 0, 0], [0, 0, 1, 0, 0]]).T
    assert torch.allclose(classifier.weights, expected)
    assert classifier.ids.tolist() == [1, 2]


def test_scores_are_the_softmax_of_scaled_cosines() -> None:
    classifier = build_classifier(Axes(), parse_list('road, car, dog'), ['{}'])
    vector = along(road=0.6, car=0.8)
    labels = name_masks(vector, ONE, classifier, ClipSettings(), scale=10.0, hypotheses=3)
    assert labels.class_ids.tolist() == [[2, 1, 3]]
    expected = torch.tensor([8.0, 6.0, 0.0]).softmax(0)
    assert torch.allclose(labels.scores[0], expected)
    cooler = ClipSettings(temperature=0.5)
    labels = name_masks(vector, ONE, classifier, cooler, scale=10.0, hypotheses=1)
    assert labels.scores.item() == pytest.approx(torch.tensor([1.6, 1.2, 0]).softmax(0)[0].item())


def test_margin_and_mask_score_lower_the_confidence() -> None:
    classifier = build_classifier(Axes(), parse_list('road, car'), ['{}'])
    vector, score = along(road=0.6, car=0.8), torch.tensor([0.49])
    best, second = torch.tensor([8.0, 6.0]).softmax(0).tolist()
    settings = ClipSettings(margin_weight=2.0, mask_score_weight=0.5)
    labels = name_masks(vector, score, classifier, settings, scale=10.0, hypotheses=2)
    trust = (1 - second / best) ** 2 * 0.7
    assert labels.scores[0].tolist() == pytest.approx([best * trust, second * trust])


def test_below_the_minimum_is_unlabelled() -> None:
    classes = (
        SemanticClass(1, 'road', (1, 2, 3), minimum_confidence=0.9),
        SemanticClass(2, 'car', (3, 2, 1)),
    )
    classifier = build_classifier(Axes(), vocabulary(*classes), ['{}'])
    vectors = torch.cat([along(road=1), along(road=0.8, car=0.6), along(road=0.6, car=0.8)])
    scores = torch.ones(3)
    labels = name_masks(vectors, scores, classifier, ClipSettings(), scale=10.0, hypotheses=1)
    assert labels.class_ids[:, 0].tolist() == [1, 0, 2]
    strict = ClipSettings(minimum_confidence=0.95)
    labels = name_masks(vectors, scores, classifier, strict, scale=10.0, hypotheses=1)
    assert labels.class_ids[:, 0].tolist() == [1, 0, 0]


def test_negatives_absorb_and_come_out_unlabelled() -> None:
    inside = vocabulary(
        SemanticClass(1, 'road', (1, 2, 3)), SemanticClass(2, 'wall', (0, 0, 0), negative=True)
    )
    for names, negatives in ((inside, ''), (parse_list('road'), 'wall, dog')):
        classifier = build_classifier(Axes(), names, ['{}'], negatives)
        vectors = torch.cat([along(wall=1), along(road=1)])
        labels = name_masks(
            vectors, torch.ones(2), classifier, ClipSettings(), scale=10.0, hypotheses=2
        )
        assert labels.class_ids.tolist() == [[0, 1], [1, 0]]
        assert labels.scores[1, 0] < 1


def test_negatives_that_are_asked_for_are_classes() -> None:
    classifier = build_classifier(Axes(), parse_list('road | street'), ['{}'], 'Street, dog')
    assert classifier.ids.tolist() == [1, 0]


def test_ties_go_to_the_name_that_stands_first() -> None:
    classifier = build_classifier(Axes(), parse_list('dog, car, road'), ['{}'])
    vector = along(car=0.7, road=0.7, dog=0.7)
    labels = name_masks(vector, ONE, classifier, ClipSettings(), scale=10.0, hypotheses=3)
    assert labels.class_ids.tolist() == [[1, 2, 3]]


def test_more_hypotheses_than_names_give_all_names() -> None:
    classifier = build_classifier(Axes(), parse_list('dog, car'), ['{}'])
    labels = name_masks(along(car=1), ONE, classifier, ClipSettings(), scale=10.0, hypotheses=9)
    assert labels.class_ids.tolist() == [[2, 1]]


def test_group_gets_what_its_members_get_together() -> None:
    both = SemanticClass(2, 'thing', (1, 1, 1), looks=(('car',), ('dog',)))
    classifier = build_classifier(
        Axes(), vocabulary(SemanticClass(1, 'road', (2, 2, 2)), both), ['{}']
    )
    labels = name_masks(
        along(road=0.6, car=0.6, dog=0.5), ONE, classifier, ClipSettings(), 10.0, hypotheses=2
    )
    road, car, dog = torch.tensor([6.0, 6.0, 5.0]).softmax(0).tolist()
    assert labels.class_ids.tolist() == [[2, 1]]
    assert labels.scores[0].tolist() == pytest.approx([car + dog, road])
