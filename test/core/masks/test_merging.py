"""What a YOLO with classes says becomes what one without says."""

import torch

from semantic_fast_sam_ros.core.masks.merging import one_class, picked


def test_the_best_class_gives_the_score_and_is_told() -> None:
    boxes = torch.tensor([[10.0, 11], [20, 21], [4, 5], [6, 7]])
    scores = torch.tensor([[0.2, 0.1], [0.7, 0.2], [0.1, 0.4]])
    coefficients = torch.tensor([[1.5, 2], [-2, 3]])
    predicted = torch.cat([boxes, scores, coefficients])[None]
    expected = torch.cat([boxes, torch.tensor([[0.7, 0.4]]), coefficients])[None]
    found, which = one_class(predicted, coefficients=2)
    assert torch.equal(found, expected)
    assert which.tolist() == [[[1.0, 2.0]]]


def test_one_class_stays_as_it_is() -> None:
    predicted = torch.rand(1, 4 + 1 + 2, 6)
    (found,) = one_class(predicted, coefficients=2)
    assert found is predicted


def test_picks_become_centres_and_sizes_with_the_class_apart() -> None:
    picks = torch.tensor([[[10.0, 20, 14, 30, 0.9, 17, 1.5, -2]]])
    expected = torch.tensor([12.0, 25, 4, 10, 0.9, 1.5, -2])[None, :, None]
    found, which = picked(picks)
    assert torch.equal(found, expected)
    assert which.tolist() == [[[17.0]]]
