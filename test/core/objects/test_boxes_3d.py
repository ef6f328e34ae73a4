"""Boxes stand where objects are: centre within 2 % of the distance, size within 10 %."""

import cv2
import numpy as np
import pytest
from rendering import INTRINSICS, SIZE, Block, Sphere, extent, render

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.boxes_3d import LAYER, Boxes3D, boxes_3d, depth_range
from semantic_fast_sam_ros.core.settings.objects import ObjectSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names

NAMES = from_names(['road', 'car'])
NOISE = 0.005  # of the distance, standard deviation: what stereo and time-of-flight cameras have
CENTRE, LENGTH = 0.02, 0.10  # of the distance, and of the size
SHAPES = {
    'a poster': Block((0.3, -0.2, 2.0), (0.8, 0.5, 0.002)),
    'a poster seen aslant': Block((-0.2, 0.1, 3.0), (1.6, 1.0, 0.002), turn=0.9),
    'a box from the front': Block((0.05, -0.05, 2.5), (0.6, 0.5, 0.4)),
    'a box over the corner': Block((-0.3, 0.0, 3.0), (0.9, 0.7, 0.6), turn=0.6),
    'a van from behind, aside': Block((1.0, 0.2, 5.0), (1.6, 1.5, 2.5), turn=0.15),
    'a ball': Sphere((0.2, 0.1, 1.5), 0.3),
    'a ball far away': Sphere((-1.5, 0.5, 6.0), 0.5),
}


def result_of(
    instances: np.ndarray, class_ids: list[int], vocabulary: Vocabulary = NAMES
) -> SegmentationResult:
    """Return an image whose masks are those numbers."""
    boxes = [cv2.boundingRect((instances == i + 1).view(np.uint8)) for i in range(len(class_ids))]
    corners = [[x, y, x + w, y + h] for x, y, w, h in boxes]
    return SegmentationResult(
        label_map=np.zeros(instances.shape, np.uint8),
        confidence=np.zeros(instances.shape, np.uint8),
        instances=instances,
        mask_ids=np.arange(1, len(class_ids) + 1, dtype=np.uint16),
        boxes=np.array(corners, np.float32).reshape(-1, 4),
        mask_scores=np.ones(len(class_ids), np.float32),
        class_ids=np.array(class_ids, np.int64).reshape(-1, 1),
        class_scores=np.full((len(class_ids), 1), 0.8, np.float32),
        vocabulary=vocabulary,
    )


def found_in(
    instances: np.ndarray, depth: np.ndarray, settings: ObjectSettings | None = None
) -> Boxes3D:
    result = result_of(instances, [2] * int(instances.max()))
    return boxes_3d(result, depth.astype(np.float32), INTRINSICS, settings or ObjectSettings())


def assert_close(found: Boxes3D, centre: np.ndarray, size: np.ndarray) -> None:
    """Compare the one box with what is seen; sides that hardly are there by the noise alone."""
    (box,) = found.boxes
    distance = np.linalg.norm(centre)
    assert np.abs(np.array(box.centre) - centre).max() <= CENTRE * distance
    allowed = np.maximum(LENGTH * size, 6 * NOISE * distance)
    np.testing.assert_array_less(np.abs(np.array(box.size) - size), allowed)


@pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES)
def test_exact_depth_gives_the_extent_of_what_is_seen(shape: Block | Sphere) -> None:
    depth, instances = render([shape], wall=8.0)
    assert_close(found_in(instances, depth), *extent(depth, instances == 1))


@pytest.mark.parametrize('seed', [0, 1, 2])
@pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES)
def test_noise_holes_and_masks_that_reach_over_the_edge_change_little(
    shape: Block | Sphere, seed: int
) -> None:
    random = np.random.default_rng(seed)
    exact, instances = render([shape], wall=8.0)
    noisy = exact * (1 + NOISE * random.normal(size=SIZE))
    coarse = random.random((SIZE[0] // 8, SIZE[1] // 8)) < 0.15  # holes of 8 x 8 pixels
    noisy[np.kron(coarse, np.ones((8, 8), bool)) | (random.random(SIZE) < 0.1)] = np.nan
    wide = cv2.dilate(instances, np.ones((5, 5), np.uint8))  # two pixels of the wall all round
    assert_close(found_in(wide, noisy), *extent(exact, instances == 1))


def test_pixels_between_object_and_background_are_left_out() -> None:
    exact, instances = render([SHAPES['a box from the front']], wall=4.0)
    mixed = cv2.blur(exact, (3, 3))  # as cameras with large pixels see an edge
    assert_close(found_in(instances, mixed), *extent(exact, instances == 1))


def test_what_stands_in_front_does_not_count() -> None:
    pole = Block((0.3, 0.0, 1.0), (0.05, 2.0, 0.05))
    box = Block((0.6, 0.1, 3.0), (1.2, 0.8, 0.5))
    depth, _ = render([pole, box], wall=8.0)
    alone, mask = render([box], wall=8.0)
    # The mask of the box covers the pole.
    assert_close(found_in(mask, depth), *extent(alone, mask == 1))


def test_each_thing_has_its_box_and_stuff_has_none() -> None:
    shapes = [Sphere((-0.8, 0, 2.5), 0.3), Sphere((0, 0, 2.0), 0.3), Sphere((0.9, 0, 3.0), 0.3)]
    depth, instances = render(shapes, wall=8.0)
    found = boxes_3d(
        result_of(instances, [2, 1, 2]), depth.astype(np.float32), INTRINSICS, ObjectSettings()
    )
    assert [box.id for box in found.boxes] == ['1', '3']
    assert found.without_depth == 0
    assert [box.hypotheses for box in found.boxes] == [(('car', pytest.approx(0.8)),)] * 2
    assert found.boxes[0].colour == NAMES.classes[1].colour


def test_depth_of_another_size_gives_the_same_box() -> None:
    depth, instances = render([SHAPES['a box over the corner']], wall=8.0)
    whole = found_in(instances, depth).boxes[0]
    half = np.ascontiguousarray(depth[::2, ::2], np.float32)
    small = (*(value / 2 for value in INTRINSICS),)
    box = boxes_3d(result_of(instances, [2]), half, small, ObjectSettings()).boxes[0]
    np.testing.assert_allclose(box.centre, whole.centre, atol=0.03)
    np.testing.assert_allclose(box.size, whole.size, rtol=0.08, atol=0.03)


def test_things_with_too_little_depth_are_counted() -> None:
    exact, instances = render([SHAPES['a ball'], SHAPES['a ball far away']], wall=8.0)
    depth = exact.copy()
    rows = np.arange(SIZE[0])[:, None] % 10
    depth[(instances == 1) & (rows > 0)] = np.nan  # a tenth is left
    found = found_in(instances, depth)
    assert [box.id for box in found.boxes] == ['2'] and found.without_depth == 1
    assert len(found_in(instances, depth, ObjectSettings(minimum_depth=0.05)).boxes) == 2
    nothing = found_in(instances, np.full(SIZE, np.nan))
    assert (nothing.boxes, nothing.without_depth) == ((), 2)


def test_a_transform_puts_boxes_into_another_frame_parallel_to_its_axes() -> None:
    depth, instances = render([SHAPES['a ball']], wall=8.0)
    # A camera that looks along x of a frame whose z points up, 1 m above the floor.
    turn = np.array([[0, 0, 1.0, 0.5], [-1, 0, 0, 0], [0, -1, 0, 1.0], [0, 0, 0, 1]])
    result = result_of(instances, [2])
    here = found_in(instances, depth).boxes[0]
    (box,) = boxes_3d(result, depth.astype(np.float32), INTRINSICS, ObjectSettings(), turn).boxes
    x, y, z = here.centre
    np.testing.assert_allclose(box.centre, [z + 0.5, -x, 1 - y], atol=1e-6)
    np.testing.assert_allclose(box.size, [here.size[2], here.size[0], here.size[1]], atol=1e-6)
    np.testing.assert_allclose(
        box.covariance, turn[:3, :3] @ here.covariance @ turn[:3, :3].T, atol=1e-9
    )


def test_the_covariance_is_that_of_the_points() -> None:
    depth, instances = render([Block((0, 0, 2.0), (0.9, 0.6, 0.001))], wall=8.0)
    (box,) = found_in(instances, depth).boxes
    uniform = [0.9**2 / 12, 0.6**2 / 12, 0]  # of a rectangle
    np.testing.assert_allclose(np.diag(box.covariance), uniform, rtol=0.05, atol=1e-4)
    np.testing.assert_allclose(box.covariance, box.covariance.T)


def test_depth_of_another_view_or_without_calibration_is_refused() -> None:
    result = result_of(np.ones(SIZE, np.uint16), [2])
    with pytest.raises(FrameError, match='of 60x60 is not registered to the camera'):
        boxes_3d(result, np.ones((60, 60), np.float32), INTRINSICS, ObjectSettings())
    with pytest.raises(FrameError, match='not calibrated'):
        boxes_3d(result, np.ones(SIZE, np.float32), (0, 0, 1, 1), ObjectSettings())


def test_a_mask_over_two_things_gives_the_box_of_one() -> None:
    """As many pixels of either: the median lies between them, where nothing is."""
    instances, depth = np.zeros(SIZE, np.uint16), np.full(SIZE, 1.0)
    instances[20:60, 20:60] = 1
    depth[:, 40:] = 3.0
    (box,) = found_in(instances, depth).boxes
    assert box.centre[2] == pytest.approx(1.0) or box.centre[2] == pytest.approx(3.0)


def test_the_range_of_depths_ends_where_a_gap_is() -> None:
    near, far = np.linspace(2.0, 3.0, 900), np.linspace(4.0, 5.0, 300)
    depths = np.concatenate([near, far, [3.3, 3.6]]).astype(np.float32)
    assert depth_range(depths, 2.6) == pytest.approx((2.0, 3.0), abs=LAYER * 2.6)
    assert depth_range(depths, 4.4) == pytest.approx((4.0, 5.0), abs=LAYER * 4.4)
    assert depth_range(depths, 3.6) == pytest.approx((4.0, 5.0), abs=LAYER * 3.6)  # nearest
    assert depth_range(np.full(50, 2.0, np.float32), 2.0) == pytest.approx((1.98, 2.02))
