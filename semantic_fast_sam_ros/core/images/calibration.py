"""A camera's calibration, and what it becomes when its images are resized (REP 104)."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

Numbers = tuple[float, ...]
INFO_TOPIC = 'camera_info'


class CameraInfoMessage(Protocol):
    """The fields of a sensor_msgs/CameraInfo, of whatever library."""

    height: int
    width: int
    distortion_model: str
    d: Any
    k: Any
    r: Any
    p: Any
    binning_x: int
    binning_y: int
    roi: Any


@dataclass(frozen=True)
class Calibration:
    """Content of a sensor_msgs/CameraInfo: K, P and the region are those of the whole sensor."""

    width: int
    height: int
    distortion_model: str = ''
    d: Numbers = ()
    k: Numbers = (0.0,) * 9  # row-major; all 0: not calibrated
    r: Numbers = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    p: Numbers = (0.0,) * 12
    binning: tuple[int, int] = (0, 0)  # x, y; 0 as 1
    region: tuple[int, int, int, int] = (0, 0, 0, 0)  # x, y, width, height; all 0: the sensor
    rectify_region: bool = False

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images that it describes: the region, binned."""
        _, _, width, height = self.region
        across, down = self._binning
        return (height or self.height) // down, (width or self.width) // across

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """The fx, fy, cx, cy of those images in pixels, rectified if P is set, else as K says."""
        matrix, columns = (self.p, 4) if self.p[0] else (self.k, 3)
        (left, top, *_), (across, down) = self.region, self._binning
        fx, cx = matrix[0] / across, (matrix[2] - left) / across
        fy, cy = matrix[columns + 1] / down, (matrix[columns + 2] - top) / down
        return fx, fy, cx, cy

    @property
    def _binning(self) -> tuple[int, int]:
        return max(1, self.binning[0]), max(1, self.binning[1])

    def resized(self, size: tuple[int, int]) -> 'Calibration':
        """Return the calibration of the images resized to (height, width).

        As image_proc's resize and image_geometry: principal points scale as lengths do, binning
        stays, D and R do not depend on the size. A region that would end between two pixels is
        rounded, and the principal points moved by as much, so that `intrinsics` scale exactly.
        """
        if size == self.image_size:
            return self
        (height, width), (image_height, image_width) = size, self.image_size
        (across, down), (left, top, *_) = self._binning, self.region
        scale = width / image_width, height / image_height
        corner = round(left * scale[0]), round(top * scale[1])
        shift = corner[0] - left * scale[0], corner[1] - top * scale[1]
        whole, region = (width * across, height * down), self.region
        if any(region):
            region = (*corner, *whole)
            whole = round(self.width * scale[0]), round(self.height * scale[1])
        return replace(
            self,
            width=whole[0],
            height=whole[1],
            k=_resized(self.k, scale, shift),
            p=_resized(self.p, scale, shift),
            region=region,
        )


def read(message: CameraInfoMessage) -> Calibration:
    """Return what a message says."""
    roi = message.roi
    return Calibration(
        width=message.width,
        height=message.height,
        distortion_model=message.distortion_model,
        d=tuple(map(float, message.d)),
        k=tuple(map(float, message.k)),
        r=tuple(map(float, message.r)),
        p=tuple(map(float, message.p)),
        binning=(message.binning_x, message.binning_y),
        region=(roi.x_offset, roi.y_offset, roi.width, roi.height),
        rectify_region=bool(roi.do_rectify),
    )


def beside(image_topic: str) -> str:
    """Return where the calibration of an image topic is: in the place of its last part."""
    folder, slash, _ = image_topic.rpartition('/')
    return f'{folder}{slash}{INFO_TOPIC}'


def _resized(matrix: Numbers, scale: tuple[float, float], shift: tuple[float, float]) -> Numbers:
    """Scale the rows of K or P, then move the principal point."""
    if not matrix[0]:
        return matrix  # not calibrated
    rows = np.reshape(matrix, (3, -1)) * np.array([*scale, 1.0])[:, None]
    rows[:2, 2] += shift
    return tuple(rows.ravel().tolist())
