"""Labels that stay while the image before was surer, by hand-computed numbers."""

import numpy as np
import pytest
import torch

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary, from_names
from semantic_fast_sam_ros.core.video import hysteresis

NAMES = from_names(['road', 'car', 'sky'])


def pixels(ids: list[list[int]], confidence: list[list[float]]) -> hysteresis.Pixels:
    return torch.tensor(ids), torch.tensor(confidence)


def result(ids: list[list[int]], confidence: list[list[int]], names: Vocabulary = NAMES):
    label_map = np.array(ids, np.uint8)
    return SegmentationResult(
        label_map=label_map,
        confidence=np.array(confidence, np.uint8),
        instances=np.zeros(label_map.shape, np.uint16),
        mask_ids=np.zeros(0, np.uint16),
        boxes=np.zeros((0, 4), np.float32),
        mask_scores=np.zeros(0, np.float32),
        class_ids=np.zeros((0, 1), np.int64),
        class_scores=np.zeros((0, 1), np.float32),
        vocabulary=names,
    )


def test_the_old_label_stays_where_its_share_is_larger_than_the_new_confidence() -> None:
    new = pixels([[1, 1, 1, 1], [2, 0, 3, 1]], [[0.3, 0.5, 0.3, 0.9], [0.6, 0.0, 0.1, 0.2]])
    old = pixels([[2, 2, 1, 2], [3, 3, 0, 2]], [[0.8, 0.8, 0.8, 0.8], [1.0, 1.0, 0.0, 0.4]])
    ids, confidence = hysteresis.hold(new, old, 0.5)
    # kept (0.4 > 0.3); too sure (0.5); the same label; too sure
    # too sure (0.6 > 0.5); unlabelled now; unlabelled before; equal (0.2) is not larger
    assert ids.tolist() == [[2, 1, 1, 1], [2, 0, 3, 1]]
    expected = [[0.4, 0.5, 0.3, 0.9], [0.6, 0.0, 0.1, 0.2]]
    torch.testing.assert_close(confidence, torch.tensor(expected))


def test_a_held_label_gives_way_in_the_end() -> None:
    old = pixels([[2]], [[1.0]])
    seen = []
    for _ in range(5):
        old = hysteresis.hold(pixels([[1]], [[0.4]]), old, 0.8)
        seen.append((old[0].item(), round(old[1].item(), 4)))
    assert seen == [(2, 0.8), (2, 0.64), (2, 0.512), (2, 0.4096), (1, 0.4)]


def test_without_hysteresis_nothing_is_held() -> None:
    new, old = pixels([[1]], [[0.01]]), pixels([[2]], [[1.0]])
    assert hysteresis.hold(new, old, 0.0)[0].tolist() == [[1]]


def test_no_label_is_held_below_the_least_confidence_of_its_class() -> None:
    car = SemanticClass(2, 'car', (0, 0, 0), minimum_confidence=0.5)
    names = Vocabulary((NAMES.classes[0], car, NAMES.classes[2]))
    before = result([[2, 2, 3]], [[255, 153, 153]], names)
    new = pixels([[1, 1, 1]], [[0.1, 0.1, 0.1]])
    ids, confidence = hysteresis.hold_labels(new, before, 0.5)
    assert ids.tolist() == [[2, 1, 3]]
    torch.testing.assert_close(confidence, torch.tensor([[0.5, 0.1, 0.3]]))
    assert hysteresis.hold_labels(new, before, 0.5, 0.4)[0].tolist() == [[2, 1, 1]]


@pytest.mark.parametrize('kind', [torch.int32, torch.int64])
def test_ids_keep_their_type(kind: torch.dtype) -> None:
    new = (torch.tensor([[1]], dtype=kind), torch.tensor([[0.1]]))
    assert hysteresis.hold_labels(new, result([[3]], [[255]]), 0.9)[0].dtype == kind
