"""What a YOLO with classes says becomes what one without says."""

import torch

from semantic_fast_sam_ros.core.masks.merging import one_class, picked


def test_the_best_class_gives_the_score() -> None:
    boxes = torch.tensor([[10.0], [20], [4], [6]])
    scores, coefficients = torch.tensor([[0.2], [0.7], [0.1]]), torch.tensor([[1.5], [-2]])
    predicted = torch.cat([boxes, scores, coefficients])[None]
    expected = torch.cat([boxes, torch.tensor([[0.7]]), coefficients])[None]
    assert torch.equal(one_class(predicted, coefficients=2), expected)


def test_one_class_stays_as_it_is() -> None:
    predicted = torch.rand(1, 4 + 1 + 2, 6)
    assert one_class(predicted, coefficients=2) is predicted


def test_picks_become_centres_and_sizes_without_a_class() -> None:
    picks = torch.tensor([[[10.0, 20, 14, 30, 0.9, 17, 1.5, -2]]])
    expected = torch.tensor([12.0, 25, 4, 10, 0.9, 1.5, -2])[None, :, None]
    assert torch.equal(picked(picks), expected)
