"""Outlines enclose what is seen of a mask, in pixels counted from the image's corner."""

import numpy as np

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.outlines import outlines
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

NAMES = from_names(['road', 'car'])


def result(instances: np.ndarray, boxes: list[list[float]], best: list[int]) -> SegmentationResult:
    count = len(boxes)
    return SegmentationResult(
        label_map=np.zeros(instances.shape, np.uint8),
        confidence=np.zeros(instances.shape, np.uint8),
        instances=instances.astype(np.uint16),
        mask_ids=np.arange(1, count + 1, dtype=np.uint16),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        mask_scores=np.ones(count, np.float32),
        class_ids=np.array(best, np.int64).reshape(-1, 1),
        class_scores=np.array([0.9 if b else 0.0 for b in best], np.float32).reshape(-1, 1),
        vocabulary=NAMES,
    )


def test_a_rectangle_has_four_corners_with_the_name_and_colour_of_its_class() -> None:
    instances = np.zeros((12, 20))
    instances[2:8, 5:15] = 1
    (mask,) = outlines(result(instances, [[5, 2, 15, 8]], [2])).masks
    assert (mask.id, mask.name, mask.colour) == (1, 'car', NAMES.find('car').colour)
    (polygon,) = mask.polygons
    corners = {(5.5, 2.5), (14.5, 2.5), (14.5, 7.5), (5.5, 7.5)}
    assert {tuple(point) for point in polygon.tolist()} == corners


def test_only_what_is_seen_is_outlined() -> None:
    instances = np.zeros((12, 20))
    instances[:, 2:18] = 1
    instances[:, 8:12] = 2  # over the middle of the first
    first, second = outlines(result(instances, [[2, 0, 18, 12], [8, 0, 12, 12]], [1, 0])).masks
    assert len(first.polygons) == 2
    assert (second.name, second.colour) == ('', (0, 0, 0))


def test_hidden_masks_specks_and_empty_frames_have_no_outline() -> None:
    hidden = np.zeros((12, 20))
    assert outlines(result(hidden, [[1, 1, 5, 5]], [1])).masks == ()
    hidden[3, 3] = 1
    assert outlines(result(hidden, [[1, 1, 5, 5]], [1])).masks == ()
    assert outlines(result(hidden, [], [])).masks == ()


def test_a_box_beyond_the_image_is_no_matter() -> None:
    (mask,) = outlines(result(np.ones((12, 20)), [[-3.5, -2.0, 25.0, 12.4]], [1])).masks
    assert mask.polygons[0].min() == 0.5
    assert mask.polygons[0].max(0).tolist() == [19.5, 11.5]
