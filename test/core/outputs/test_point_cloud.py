"""Depth images become metres, and metres become labelled points where they should be."""

from types import SimpleNamespace

import numpy as np
import pytest

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.point_cloud import (
    POINT,
    depth_metres,
    labelled_points,
    result_points,
)
from semantic_fast_sam_ros.core.settings.node import CloudSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

NAN = np.nan
INTRINSICS = (2.0, 4.0, 1.0, 0.5)  # fx, fy, cx, cy
DEPTH = np.array([[1.0, NAN, 2.0], [4.0, 8.0, NAN]], np.float32)
COLOURS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
LABELS = np.array([[1, 2, 3], [0, 300, 5]], np.uint16)
CONFIDENCE = np.array([[255, 10, 51], [0, 102, 9]], np.uint8)


def image(
    pixels: np.ndarray, encoding: str, padding: int = 0, big: bool = False
) -> SimpleNamespace:
    """Return a depth image message."""
    order = '>' if big else '<'
    rows = pixels.astype(pixels.dtype.newbyteorder(order)).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=rows.tobytes(),
    )


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('encoding', ['16UC1', 'mono16'])
def test_16_bits_are_millimetres_and_0_is_no_depth(encoding: str, padding: int, big: bool) -> None:
    message = image(np.array([[0, 1500], [65535, 1], [20, 0]], np.uint16), encoding, padding, big)
    expected = np.array([[NAN, 1.5], [65.535, 0.001], [0.02, NAN]], np.float32)
    np.testing.assert_allclose(depth_metres(message, 100), expected, rtol=1e-6)


@pytest.mark.parametrize('big', [False, True])
def test_floats_are_metres_and_what_is_no_distance_is_no_depth(big: bool) -> None:
    pixels = np.array([[0.5, NAN, np.inf], [-np.inf, -1.0, 0.0]], np.float32)
    depth = depth_metres(image(pixels, '32FC1', big=big), 100)
    np.testing.assert_array_equal(depth, np.array([[0.5, NAN, NAN], [NAN] * 3], np.float32))


def test_other_images_are_refused_with_the_accepted_encodings() -> None:
    with pytest.raises(FrameError, match="'rgb8'; accepted: 16UC1, mono16, 32FC1"):
        depth_metres(image(np.zeros((2, 6), np.uint8), 'rgb8'), 100)
    message = image(np.zeros((2, 3), np.uint16), '16UC1')
    message.data = message.data[:-1]
    with pytest.raises(FrameError, match='data has 11 bytes'):
        depth_metres(message, 100)
    with pytest.raises(FrameError, match='maximum_pixels'):
        depth_metres(image(np.zeros((2, 3), np.uint16), '16UC1'), 5)


def test_organised_points_are_the_pixels_rays_times_depth() -> None:
    points = labelled_points(DEPTH, INTRINSICS, COLOURS, LABELS, CONFIDENCE, organised=True)
    assert points.shape == (2, 3)
    expected = {  # (u - 1) / 2 z, (v - 0.5) / 4 z, z
        (0, 0): (-0.5, -0.125, 1.0),
        (0, 2): (1.0, -0.25, 2.0),
        (1, 0): (-2.0, 0.5, 4.0),
        (1, 1): (0.0, 1.0, 8.0),
    }
    for place, xyz in expected.items():
        assert tuple(points[place])[:3] == xyz
    for place in ((0, 1), (1, 2)):
        assert all(np.isnan(value) for value in tuple(points[place])[:3])
    np.testing.assert_array_equal(points['label'], LABELS)
    np.testing.assert_allclose(points['confidence'], CONFIDENCE / 255, rtol=1e-6)


def test_points_without_depth_are_left_out_if_unorganised() -> None:
    dense = labelled_points(DEPTH, INTRINSICS, COLOURS, LABELS, CONFIDENCE, organised=False)
    whole = labelled_points(DEPTH, INTRINSICS, COLOURS, LABELS, CONFIDENCE, organised=True)
    assert dense.tolist() == whole[np.isfinite(DEPTH)].tolist()
    none = np.full((2, 3), NAN, np.float32)
    assert labelled_points(none, INTRINSICS, COLOURS, LABELS, CONFIDENCE, False).shape == (0,)


def test_the_colour_is_packed_as_pcl_and_rviz_unpack_it() -> None:
    points = labelled_points(DEPTH, INTRINSICS, COLOURS, LABELS, CONFIDENCE, organised=True)
    assert points[0, 1]['rgb'] == (3 << 16) + (4 << 8) + 5
    assert POINT.fields['rgb'][1] == 12 and POINT.itemsize == 24


NAMES = from_names(['road', 'car'])


def labelled(height: int, width: int) -> SegmentationResult:
    """Return road at the left, car at the right."""
    labels = np.ones((height, width), np.uint8)
    labels[:, width // 2 :] = 2
    return SegmentationResult(
        label_map=labels,
        confidence=labels * 100,
        instances=np.zeros(labels.shape, np.uint16),
        mask_ids=np.zeros(0, np.uint16),
        boxes=np.zeros((0, 4), np.float32),
        mask_scores=np.zeros(0, np.float32),
        class_ids=np.zeros((0, 1), np.int64),
        class_scores=np.zeros((0, 1), np.float32),
        vocabulary=NAMES,
    )


def test_labels_and_colours_are_brought_to_the_size_of_the_depth_image() -> None:
    image = np.full((8, 12, 3), (10, 20, 30), np.uint8)
    depth = np.ones((2, 3), np.float32)
    points = result_points(image, labelled(8, 12), depth, INTRINSICS, CloudSettings())
    assert points['label'].tolist() == [[1, 2, 2]] * 2
    assert (points['rgb'] == (10 << 16) + (20 << 8) + 30).all()
    settings = CloudSettings(colours='classes')
    points = result_points(image, labelled(8, 12), depth, INTRINSICS, settings)
    red, green, blue = NAMES.find('car').colour
    assert points[0, 2]['rgb'] == (red << 16) + (green << 8) + blue


def test_depth_of_another_view_or_without_calibration_gives_no_points() -> None:
    image, depth = np.zeros((8, 12, 3), np.uint8), np.ones((3, 6), np.float32)
    with pytest.raises(FrameError, match=r'of 6x3 is not registered .* 12x8'):
        result_points(image, labelled(8, 12), depth, INTRINSICS, CloudSettings())
    depth = np.ones((2, 3), np.float32)
    with pytest.raises(FrameError, match='not calibrated'):
        result_points(image, labelled(8, 12), depth, (0.0, 0.0, 1.0, 1.0), CloudSettings())
