"""Camera messages to RGB arrays, without cv_bridge and for any library's message objects.

cv_bridge's compiled part crashes beside NumPy 2 on Humble and Jazzy, and the one on PyPI ignores
row padding; what cameras send is a reshape or one OpenCV call away.
"""

import io
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError

Rgb = NDArray[np.uint8]  # (H, W, 3)


class ImageMessage(Protocol):
    """The fields of a sensor_msgs/Image, of whatever library."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedMessage(Protocol):
    """The fields of a sensor_msgs/CompressedImage, of whatever library."""

    format: str
    data: Any


def _converter(code: int) -> Callable[[Any], Rgb]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _rgb(pixels: Any) -> Rgb:
    rgb: Rgb = pixels[..., :3]
    return rgb


# encoding -> (channels, bytes a channel, to RGB). ROS names the first row's first two pixels of a
# Bayer pattern, OpenCV the second row's second and third: rggb is OpenCV's BayerBG.
_BGR = _converter(cv2.COLOR_BGR2RGB)
_MONO = _converter(cv2.COLOR_GRAY2RGB)
_UYVY = _converter(cv2.COLOR_YUV2RGB_UYVY)
_YUYV = _converter(cv2.COLOR_YUV2RGB_YUYV)
ENCODINGS: dict[str, tuple[int, int, Callable[[Any], Rgb]]] = {
    'rgb8': (3, 1, _rgb),
    'bgr8': (3, 1, _BGR),
    '8UC3': (3, 1, _BGR),  # OpenCV's order, as cv_bridge takes it
    'rgba8': (4, 1, _rgb),
    'bgra8': (4, 1, _converter(cv2.COLOR_BGRA2RGB)),
    '8UC4': (4, 1, _converter(cv2.COLOR_BGRA2RGB)),
    'mono8': (1, 1, _MONO),
    '8UC1': (1, 1, _MONO),
    'mono16': (1, 2, lambda pixels: _MONO((pixels >> 8).astype(np.uint8))),
    'rgb16': (3, 2, lambda pixels: (pixels >> 8).astype(np.uint8)),
    'bgr16': (3, 2, lambda pixels: _BGR((pixels >> 8).astype(np.uint8))),
    'yuv422': (2, 1, _UYVY),
    'uyvy': (2, 1, _UYVY),
    'yuv422_yuy2': (2, 1, _YUYV),
    'yuyv': (2, 1, _YUYV),
    'bayer_rggb8': (1, 1, _converter(cv2.COLOR_BayerBG2RGB)),
    'bayer_bggr8': (1, 1, _converter(cv2.COLOR_BayerRG2RGB)),
    'bayer_gbrg8': (1, 1, _converter(cv2.COLOR_BayerGR2RGB)),
    'bayer_grbg8': (1, 1, _converter(cv2.COLOR_BayerGB2RGB)),
}
END_MARKS = {'JPEG': b'\xff\xd9', 'PNG': b'IEND'}
END_SEARCH_BYTES = 4096  # some cameras pad after the end mark
SHOWN_CHARACTERS = 40  # of a name in a message, which may have any length


def image_to_rgb(message: ImageMessage, maximum_pixels: int) -> Rgb:
    """Return a message's image as (H, W, 3) uint8 RGB; a view for rgb8 and rgba8.

    Raises:
        FrameError: the encoding is unknown, or size, step and data contradict each other.
    """
    if message.encoding not in ENCODINGS:
        raise FrameError(
            f'encoding {_shown(message.encoding)} is not supported; '
            f'accepted: {", ".join(ENCODINGS)}'
        )
    channels, depth, to_rgb = ENCODINGS[message.encoding]
    rows: NDArray[Any] = pixel_rows(message, channels * depth, maximum_pixels)
    if channels == 2 and message.width % 2:
        raise FrameError(f'{message.encoding} needs an even width, not {message.width}')
    if depth == 2:
        order = '>u2' if message.is_bigendian else '<u2'
        rows = np.ascontiguousarray(rows).view(order).astype(np.uint16)
    shape = (message.height, message.width, channels)
    pixels = rows.reshape(shape[:2] if channels == 1 else shape)
    if message.encoding.startswith('bayer') and min(shape[:2]) < 3:
        raise FrameError(f'a Bayer image of {message.width}x{message.height} is too small')
    return to_rgb(pixels)


def pixel_rows(message: ImageMessage, pixel_bytes: int, maximum_pixels: int) -> NDArray[np.uint8]:
    """Return a message's pixels without their padding, (H, W * pixel_bytes), as a view.

    Raises:
        FrameError: size, step and data contradict each other, or there are too many pixels.
    """
    _check_size(message.width, message.height, maximum_pixels)
    row = message.width * pixel_bytes
    if message.step < row:
        raise FrameError(
            f'step {message.step} is less than a row of {message.width} '
            f'{message.encoding} pixels ({row} bytes)'
        )
    whole = message.step * message.height
    if not whole - (message.step - row) <= len(message.data) <= whole:  # last row may lack padding
        raise FrameError(
            f'data has {len(message.data)} bytes, but height {message.height} x '
            f'step {message.step} is {whole}'
        )
    return np.ndarray((message.height, row), np.uint8, message.data, strides=(message.step, 1))


def compressed_to_rgb(message: CompressedMessage, maximum_pixels: int) -> Rgb:
    """Return a JPEG or PNG message's image as (H, W, 3) uint8 RGB.

    Raises:
        FrameError: the data is neither, is damaged, or is larger than allowed.
    """
    import PIL.Image

    data = np.frombuffer(message.data, np.uint8)
    try:  # the header alone, so that a huge image is refused before it is decoded
        with PIL.Image.open(io.BytesIO(data.tobytes()), formats=list(END_MARKS)) as header:
            width, height = header.size
            _check_size(width, height, maximum_pixels)
            _check_whole('PNG' if header.format == 'PNG' else 'JPEG', data)  # MPO is JPEGs
    except FrameError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds
        raise FrameError(
            f'compressed image (format {_shown(message.format)}, {len(data)} bytes) is not a '
            f'whole JPEG or PNG: {error}'
        ) from error
    return _BGR(_decode(data))


def _decode(data: NDArray[np.uint8]) -> Rgb:
    """Return an image as the camera took it, BGR: an orientation tag must not turn it."""
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise FrameError(f'compressed image cannot be decoded: {error}') from error
    if decoded is None:
        raise FrameError(f'compressed image of {len(data)} bytes cannot be decoded')
    return np.asarray(decoded, np.uint8)


def _check_whole(kind: str, data: NDArray[np.uint8]) -> None:
    """Find cut-off data by its missing end mark: OpenCV would fill the rest with grey."""
    if END_MARKS[kind] not in data[-END_SEARCH_BYTES:].tobytes():
        raise FrameError('the data is cut off: its end mark is missing')


def _shown(name: str) -> str:
    return repr(name if len(name) <= SHOWN_CHARACTERS else f'{name[:SHOWN_CHARACTERS]}...')


def _check_size(width: int, height: int, maximum_pixels: int) -> None:
    if width == 0 or height == 0:
        raise FrameError(f'the image is empty: {width}x{height}')
    if width * height > maximum_pixels:
        raise FrameError(f'{width}x{height} exceeds input.maximum_pixels ({maximum_pixels})')
