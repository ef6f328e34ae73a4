"""Boxes are suppressed as ultralytics and torchvision do it."""

import pytest
import torch

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.masks.suppression import suppress


def predictions(count: int, seed: int = 0) -> torch.Tensor:
    """Random boxes with scores and two coefficients, (7, count)."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(2, count, generator=generator) * 100
    sides = torch.rand(2, count, generator=generator) * 60 + 5
    return torch.cat([centres, sides, torch.rand(3, count, generator=generator)])


@pytest.fixture(params=['cpu', 'gpu'], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Suppress as on a CPU, and as on a GPU, where nothing waits for how many are sure enough."""
    if request.param == 'gpu':
        monkeypatch.setattr(jit, 'suits', lambda device: False)


@pytest.mark.parametrize('iou', [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize('limit', [3, 300])
def test_the_same_boxes_stay_as_with_ultralytics(iou: float, limit: int) -> None:
    from ultralytics.utils.nms import non_max_suppression

    for seed in range(5):
        predicted = predictions(400, seed)
        (wanted,) = non_max_suppression(predicted[None].clone(), 0.3, iou, nc=1, max_det=limit)
        found = suppress(predicted, 0.3, iou, limit)
        torch.testing.assert_close(found[:, :5], wanted[:, :5])
        torch.testing.assert_close(found[:, 5:], wanted[:, 6:])


def test_of_equal_scores_the_first_box_stays() -> None:
    twice = torch.tensor([[10.0, 10, 8, 6, 0.5, 1], [10.0, 10, 8, 6, 0.5, 2]]).T
    assert suppress(twice, 0.1, 0.5, 10).tolist() == [[6, 7, 14, 13, 0.5, 1]]


def test_all_boxes_are_sure_enough() -> None:
    apart = torch.tensor([[10.0, 10, 8, 6, 0.5, 1], [50.0, 10, 8, 6, 0.7, 2]]).T
    found = suppress(apart, 0.1, 0.5, 10)
    assert found[:, 4:].tolist() == [[pytest.approx(0.7), 2], [0.5, 1]]


def test_no_box_is_sure_enough() -> None:
    assert suppress(predictions(20), 1.0, 0.5, 10).shape == (0, 7)


def test_the_predictions_are_left_as_they_are() -> None:
    predicted = predictions(20)
    before = predicted.clone()
    suppress(predicted, 0.1, 0.5, 10)
    assert torch.equal(predicted, before)
