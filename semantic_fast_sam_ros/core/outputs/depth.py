"""Depth beside an image: from a depth image and its calibration, or from an organised cloud."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.calibration import Calibration
from semantic_fast_sam_ros.core.images.decoding import ImageMessage
from semantic_fast_sam_ros.core.outputs.point_cloud import depth_metres

NUMBERS = {7: 'f4', 8: 'f8'}  # of sensor_msgs/PointField: FLOAT32, FLOAT64
FITTED_POINTS = 20_000  # of a cloud, spread evenly, tell which camera sees it so
MINIMUM_POINTS = 12
OFF_PIXELS = 1.0  # median distance of points from where such a camera has them


class PointCloudMessage(Protocol):
    """The fields of a sensor_msgs/PointCloud2, of whatever library."""

    height: int
    width: int
    fields: Sequence[Any]
    is_bigendian: bool
    point_step: int
    row_step: int
    data: Any


@dataclass(frozen=True)
class DepthView:
    """What a depth camera measured of a view."""

    metres: NDArray[np.float32]  # (h, w) along the optical axis, NaN where nothing was measured
    intrinsics: tuple[float, float, float, float]  # fx, fy, cx, cy in pixels


def of_image(
    message: ImageMessage, calibration: Calibration | None, info: str, maximum_pixels: int
) -> DepthView:
    """Return what a depth image tells.

    Args:
        message: the depth image.
        calibration: of depth images; None if nothing was heard of it.
        info: topic that the calibration comes on.
        maximum_pixels: larger images are refused.

    Raises:
        FrameError: it is no depth image, or the calibration is missing or of another size.
    """
    metres = depth_metres(message, maximum_pixels)
    if calibration is None:
        raise FrameError(f'no camera_info on {info}')
    if calibration.image_size != metres.shape:
        (height, width), (told_height, told_width) = metres.shape, calibration.image_size
        raise FrameError(
            f'{info} describes images of {told_width}x{told_height}, '
            f'the depth image is {width}x{height}'
        )
    return DepthView(metres, calibration.intrinsics)


def of_cloud(message: PointCloudMessage, maximum_pixels: int) -> DepthView:
    """Return what an organised cloud tells: a point a pixel, in the camera's optical frame.

    No calibration is needed: which camera sees points so follows from their places.

    Raises:
        FrameError: it is not organised, has no places, contradicts itself, or no camera of that
            many pixels sees its points so.
    """
    height, width = message.height, message.width
    if height < 2 or width < 2:
        raise FrameError(
            f'the cloud is not organised like an image: {width}x{height} points (its driver may '
            'have a setting for ordered clouds)'
        )
    if height * width > maximum_pixels:
        raise FrameError(f'a cloud of {width}x{height} points has more than input.maximum_pixels')
    x, y, z = (_coordinates(message, name) for name in 'xyz')
    measured = np.isfinite(x) & np.isfinite(y) & np.isfinite(z) & (z > 0)
    metres = np.where(measured, z, np.nan).astype(np.float32)
    rows, columns = np.nonzero(measured)
    step = -(-len(rows) // FITTED_POINTS) or 1
    rows, columns = rows[::step], columns[::step]
    if len(rows) < MINIMUM_POINTS:  # too few for any object
        blank = np.full(metres.shape, np.nan, np.float32)
        return DepthView(blank, (float(width), float(width), (width - 1) / 2, (height - 1) / 2))
    places = z[rows, columns]
    fx, cx, off_x = _line(x[rows, columns] / places, columns)
    fy, cy, off_y = _line(y[rows, columns] / places, rows)
    if max(off_x, off_y) > OFF_PIXELS or not (fx > 0 and fy > 0):
        raise FrameError(
            f'no camera of {width}x{height} pixels sees the points of the cloud so: it must be '
            "organised like the image and in the camera's optical frame (x right, y down, z "
            f'forward); pixels are {max(off_x, off_y):.1f} off'
        )
    return DepthView(metres, (fx, fy, cx, cy))


def too_far(apart_ns: int, tolerance_ms: float, what: str = 'depth image') -> str:
    """Say that depth was taken too long before or after an image; '' if it was not."""
    if abs(apart_ns) / 1e6 <= tolerance_ms:
        return ''
    return (
        f'the nearest {what} is {apart_ns / 1e6:+.0f} ms from the image: '
        'cloud.tolerance_ms allows less'
    )


def _coordinates(message: PointCloudMessage, name: str) -> NDArray[np.float64]:
    """Return a coordinate of each point, (height, width)."""
    field = next((f for f in message.fields if f.name == name), None)
    if field is None or field.datatype not in NUMBERS:
        there = ', '.join(f.name for f in message.fields) or 'nothing'
        raise FrameError(f'the cloud has no {name} as a float (it has {there})')
    kind = np.dtype(('>' if message.is_bigendian else '<') + NUMBERS[field.datatype])
    height, width, step = message.height, message.width, message.point_step
    fits = 0 <= field.offset <= step - kind.itemsize and width * step <= message.row_step
    if not fits or len(message.data) < height * message.row_step:
        raise FrameError(
            f'the cloud contradicts itself: {width}x{height} points of {step} bytes in rows of '
            f'{message.row_step}, {name} at {field.offset}, {len(message.data)} bytes of data'
        )
    strides = (message.row_step, step)
    found = np.ndarray((height, width), kind, message.data, field.offset, strides)
    return found.astype(np.float64)


def _line(slopes: NDArray[np.float64], pixels: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return focal length and principal point of an axis, and the median pixels points are off."""
    centre, middle = slopes.mean(), pixels.mean()
    spread = np.square(slopes - centre).sum()
    focal = float(((slopes - centre) * (pixels - middle)).sum() / spread) if spread else 0.0
    point = float(middle - focal * centre)
    return focal, point, float(np.median(np.abs(focal * slopes + point - pixels)))
