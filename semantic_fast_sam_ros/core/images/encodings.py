"""What the encodings of sensor_msgs/Image mean: from pixels as sent to RGB."""

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb: TypeAlias = NDArray[np.uint8]  # (H, W, 3)


def _converter(code: int) -> Callable[[Any], Rgb]:
    return lambda pixels: np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _rgb(pixels: Any) -> Rgb:
    rgb: Rgb = pixels[..., :3]
    return rgb


# ROS names the first row's first two pixels of a Bayer pattern, OpenCV the second row's second and
# third: rggb is OpenCV's BayerBG.
BAYER = {
    'bayer_rggb': _converter(cv2.COLOR_BayerBG2RGB),
    'bayer_bggr': _converter(cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg': _converter(cv2.COLOR_BayerGR2RGB),
    'bayer_grbg': _converter(cv2.COLOR_BayerGB2RGB),
}
_BGR = _converter(cv2.COLOR_BGR2RGB)
_MONO = _converter(cv2.COLOR_GRAY2RGB)
_UYVY = _converter(cv2.COLOR_YUV2RGB_UYVY)
_YUYV = _converter(cv2.COLOR_YUV2RGB_YUYV)
# encoding -> (channels, bytes a channel, 8-bit pixels to RGB); of 16 bits without alpha.
ENCODINGS: dict[str, tuple[int, int, Callable[[Any], Rgb]]] = {
    'rgb8': (3, 1, _rgb),
    'bgr8': (3, 1, _BGR),
    '8UC3': (3, 1, _BGR),  # OpenCV's order
    'rgba8': (4, 1, _rgb),
    'bgra8': (4, 1, _converter(cv2.COLOR_BGRA2RGB)),
    '8UC4': (4, 1, _converter(cv2.COLOR_BGRA2RGB)),
    'mono8': (1, 1, _MONO),
    '8UC1': (1, 1, _MONO),
    'mono16': (1, 2, _MONO),
    'rgb16': (3, 2, _rgb),
    'bgr16': (3, 2, _BGR),
    '16UC3': (3, 2, _BGR),
    'rgba16': (4, 2, _rgb),
    'bgra16': (4, 2, _BGR),
    '16UC4': (4, 2, _BGR),
    'yuv422': (2, 1, _UYVY),
    'uyvy': (2, 1, _UYVY),
    'yuv422_yuy2': (2, 1, _YUYV),
    'yuyv': (2, 1, _YUYV),
    **{f'{pattern}8': (1, 1, to_rgb) for pattern, to_rgb in BAYER.items()},
    **{f'{pattern}16': (1, 2, to_rgb) for pattern, to_rgb in BAYER.items()},
}
DEPTH = '16UC1'  # what depth cameras send; grey or thermal where `input.mono16` says so

_NV12 = _converter(cv2.COLOR_YUV2RGB_NV12)
_NV21 = _converter(cv2.COLOR_YUV2RGB_NV21)
# BT.601 with 16 to 235, as OpenCV converts the others: rows R, G, B of Y, U, V and 1.
BT601 = np.array(
    [
        [1.164, 0.0, 1.596, -1.164 * 16 - 1.596 * 128],
        [1.164, -0.392, -0.813, -1.164 * 16 + (0.392 + 0.813) * 128],
        [1.164, 2.017, 0.0, -1.164 * 16 - 2.017 * 128],
    ]
)


def _nv24(rows: NDArray[np.uint8]) -> Rgb:
    """Convert a plane of Y, then one of U and V by turns, at full size: (3 H, W)."""
    height, width = rows.shape[0] // 3, rows.shape[1]
    chroma = rows[height:].reshape(height, width, 2)
    return np.asarray(cv2.transform(np.dstack([rows[:height], chroma]), BT601), np.uint8)


# encoding -> (bytes a pixel in all, size that both sides are multiples of, rows as sent to RGB)
PLANES: dict[str, tuple[float, int, Callable[[Any], Rgb]]] = {
    'nv12': (1.5, 2, _NV12),
    'nv21': (1.5, 2, _NV21),
    'nv24': (3.0, 1, _nv24),
}
