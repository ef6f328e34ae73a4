"""Each output in the form that its consumers decode."""

from collections.abc import Collection

import cv2
import numpy as np
import pytest

from semantic_fast_sam_ros.core.images.calibration import Calibration
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.frame_outputs import Compressed, Content, frame_contents
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

NAMES = from_names([f'thing {i}' for i in range(300)])
IMAGE = np.full((4, 6, 3), 100, np.uint8)


def result(dtype: type) -> SegmentationResult:
    labels = np.arange(24, dtype=dtype).reshape(4, 6) * (1 if dtype is np.uint8 else 12)
    return SegmentationResult(
        label_map=labels,
        confidence=np.where(labels > 0, 200, 0).astype(np.uint8),
        instances=np.zeros((4, 6), np.uint16),
        mask_ids=np.zeros(0, np.uint16),
        boxes=np.zeros((0, 4), np.float32),
        mask_scores=np.zeros(0, np.float32),
        class_ids=np.zeros((0, 1), np.int64),
        class_scores=np.zeros((0, 1), np.float32),
        vocabulary=NAMES,
    )


def contents(wanted: Collection[str], dtype: type = np.uint8, **beside: object) -> dict:
    found: dict[str, Content] = dict(
        frame_contents(IMAGE, result(dtype), OutputSettings(), wanted, **beside)
    )
    return found


def as_image_transport(message: Compressed) -> tuple[str, np.ndarray]:
    """Decode as compressed_image_transport's subscriber and cv_bridge do."""
    encoding, _, rest = message.format.partition(';')
    assert 'png' in rest and 'bgr' not in rest, 'a grey image, nothing to turn round'
    return encoding, cv2.imdecode(message.data, cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(('dtype', 'encoding'), [(np.uint8, 'mono8'), (np.uint16, 'mono16')])
def test_compressed_labels_lose_nothing(dtype: type, encoding: str) -> None:
    message = contents({'label_image/compressed'}, dtype)['label_image/compressed']
    assert message.format == f'{encoding}; png compressed '
    decoded_encoding, decoded = as_image_transport(message)
    assert (decoded_encoding, decoded.dtype) == (encoding, dtype)
    np.testing.assert_array_equal(decoded, result(dtype).label_map)


def test_the_colour_mask_is_the_palette_of_each_label_and_black_elsewhere() -> None:
    mask = contents({'label_colour'})['label_colour']
    assert (mask.encoding, mask.pixels.shape, mask.pixels.dtype) == ('rgb8', (4, 6, 3), np.uint8)
    assert mask.pixels[0, 0].tolist() == [0, 0, 0]
    for (row, column), label in np.ndenumerate(result(np.uint8).label_map):
        if label:
            assert tuple(mask.pixels[row, column]) == NAMES.classes[label - 1].colour


def test_what_nobody_wants_is_not_built() -> None:
    assert contents(set()) == {}
    assert set(contents({'label_colour', 'points'})) == {'label_colour'}


def test_a_given_size_goes_before_the_setting_and_the_calibration_follows_it() -> None:
    camera = Calibration(6, 4, k=(10, 0, 3, 0, 10, 2, 0, 0, 1))
    found = contents(
        {'label_image', 'label_colour', 'overlay', 'camera_info'},
        size=(8, 18),
        calibration=camera,
    )
    for topic in ('label_image', 'label_colour', 'overlay'):
        assert found[topic].pixels.shape[:2] == (8, 18)
    assert found['camera_info'].image_size == (8, 18)
    assert found['camera_info'].k == (30, 0, 9, 0, 20, 4, 0, 0, 1)


def test_without_a_calibration_there_is_no_camera_info() -> None:
    assert contents({'camera_info'}) == {}
