"""Results of another size keep their ids and the places of things."""

import numpy as np
import pytest

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.resize import nearest, resize_result
from semantic_fast_sam_ros.core.settings.vocabulary import from_names


@pytest.fixture
def result() -> SegmentationResult:
    """A result of 4 x 6 pixels with one mask."""
    labels = np.repeat([[1, 1, 1, 2, 2, 2]], 4, 0)
    return SegmentationResult(
        label_map=labels.astype(np.uint8),
        confidence=(labels * 100).astype(np.uint8),
        instances=(labels == 2).astype(np.uint16),
        mask_ids=np.array([1], np.uint16),
        boxes=np.array([[3, 0, 6, 4]], np.float32),
        mask_scores=np.array([0.5], np.float32),
        class_ids=np.array([[2]]),
        class_scores=np.array([[1.0]], np.float32),
        vocabulary=from_names(['road', 'sky']),
    )


def test_maps_and_boxes_scale_together(result: SegmentationResult) -> None:
    large = resize_result(result, (8, 18))
    assert large.label_map.tolist() == [[1] * 9 + [2] * 9] * 8
    assert large.confidence.max() == 200
    assert large.instances.dtype == np.uint16
    assert large.boxes.tolist() == [[9, 0, 18, 8]]
    small = resize_result(result, (2, 2))
    assert small.label_map.tolist() == [[1, 2], [1, 2]]


def test_the_own_size_changes_nothing(result: SegmentationResult) -> None:
    assert resize_result(result, (4, 6)) is result


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_only_values_that_were_there_come_out(dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 250, (31, 47)).astype(dtype)
    for size in ((13, 90), (62, 94), (7, 5)):
        resized = nearest(values, size)
        assert resized.shape == size
        assert set(np.unique(resized)) <= set(np.unique(values))


def test_a_pixel_takes_the_value_at_its_centre() -> None:
    assert nearest(np.arange(9, dtype=np.uint8)[None], (1, 3)).tolist() == [[1, 4, 7]]
