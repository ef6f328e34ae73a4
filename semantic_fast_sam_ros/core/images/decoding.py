"""Camera messages to RGB arrays, without cv_bridge and for any library's message objects.

cv_bridge's compiled part crashes beside NumPy 2 on Humble and Jazzy, and the one on PyPI ignores
row padding; what cameras send is a reshape or one OpenCV call away.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images import files
from semantic_fast_sam_ros.core.images.encodings import BAYER, DEPTH, ENCODINGS, PLANES, Rgb
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.settings.node import AUTO

SMALLEST_BAYER = 3  # pixels a side
SHOWN_CHARACTERS = 40  # of a name in a message, which may have any length
REMEDY = 'let the driver send JPEG or PNG, or raw images (input.transport: raw)'
# isColor of sensor_msgs/image_encodings, without YUV, which is never sent compressed as such.
COLOURS = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16', 'rgba16', 'bgra16')


class UnknownEncodingError(files.UnknownFormatError):
    """The encoding of a message is none that is decoded here; another library may know it."""


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


def image_to_rgb(
    message: ImageMessage, maximum_pixels: int, tone: ToneMapper | None = None
) -> Rgb:
    """Return a message's image as (H, W, 3) uint8 RGB; a view for rgb8 and rgba8.

    Args:
        message: of any encoding in ENCODINGS or PLANES.
        maximum_pixels: larger images are refused.
        tone: of the camera, for 16 bits; None: by this image alone.

    Raises:
        FrameError: the encoding is unknown, or size, step and data contradict each other.
    """
    files.check_size(message.width, message.height, maximum_pixels)
    if message.encoding in PLANES:
        return _from_planes(message)
    tone = tone or ToneMapper()
    encoding = _known(message.encoding, tone)
    channels, depth, to_rgb = ENCODINGS[encoding]
    rows: NDArray[Any] = pixel_rows(message, channels * depth, maximum_pixels)
    if channels == 2 and message.width % 2:
        raise FrameError(f'{encoding} needs an even width, not {message.width}')
    if depth == 2:
        order = '>u2' if message.is_bigendian else '<u2'
        rows = np.ascontiguousarray(rows).view(order).astype(np.uint16, copy=False)
    shape = (message.height, message.width, channels)
    pixels = rows.reshape(shape[:2] if channels == 1 else shape)
    if encoding.startswith('bayer'):
        _require_bayer(pixels)
    return to_rgb(pixels if depth == 1 else tone(pixels[..., :3] if channels == 4 else pixels))


def _known(encoding: str, tone: ToneMapper) -> str:
    """Return the encoding that a message's is read as; raises FrameError."""
    if encoding in ENCODINGS:
        return encoding
    if encoding == DEPTH and tone.mode != AUTO:
        return 'mono16'
    accepted = ', '.join([*ENCODINGS, *PLANES])
    hint = ''
    if encoding == DEPTH:
        hint = ': it is what depth cameras send. For a grey or thermal camera set input.mono16'
        hint += ' to window, full or bits:N'
    raise UnknownEncodingError(
        f'encoding {_shown(encoding)} is not supported{hint}; accepted: {accepted}'
    )


def _require_bayer(pixels: NDArray[Any]) -> None:
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_BAYER:
        raise FrameError(f'a Bayer image of {width}x{height} is too small')


def _from_planes(message: ImageMessage) -> Rgb:
    """Return an image whose colours follow its grey values, as V4L2 has nv12, nv21 and nv24."""
    height, width, name = message.height, message.width, message.encoding
    share, multiple, to_rgb = PLANES[name]
    if width % multiple or height % multiple:
        raise FrameError(f'{name} needs even sides, not {width}x{height}')
    count, rows = len(message.data), round(height * share)
    stride = message.step if message.step * rows == count else width  # some tell bytes a pixel
    if stride < width or stride * rows != count:
        raise FrameError(
            f'data has {count} bytes, but {width}x{height} {name} pixels with rows of '
            f'{message.step} are {message.step * rows}, and {width * rows} without padding'
        )
    if stride > width and name == 'nv24':
        raise FrameError(
            f'{name} with padded rows (step {stride}, width {width}) is not supported'
        )
    sent = np.ndarray((rows, width), np.uint8, message.data, strides=(stride, 1))
    return to_rgb(np.ascontiguousarray(sent))


def pixel_rows(message: ImageMessage, pixel_bytes: int, maximum_pixels: int) -> NDArray[np.uint8]:
    """Return a message's pixels without their padding, (H, W * pixel_bytes), as a view.

    Raises:
        FrameError: size, step and data contradict each other, or there are too many pixels.
    """
    files.check_size(message.width, message.height, maximum_pixels)
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


def compressed_to_rgb(
    message: CompressedMessage, maximum_pixels: int, tone: ToneMapper | None = None
) -> Rgb:
    """Return a compressed message's image as (H, W, 3) uint8 RGB.

    `format` is heeded as image_transport's subscriber does it (compressed_subscriber.cpp of
    ros-perception/image_transport_plugins): `ENCODING; CODEC compressed ENCODING`.

    Args:
        message: JPEG, PNG, or another format that OpenCV decodes.
        maximum_pixels: larger images are refused before they are decoded.
        tone: of the camera, for 16 bits; None: by this image alone.

    Raises:
        FrameError: the data is no such image, is damaged, or is larger than allowed.
    """
    encoding, _, codec = (part.strip() for part in message.format.partition(';'))
    tone = tone or ToneMapper()
    if 'compressedDepth' in codec or (encoding == DEPTH and tone.mode == AUTO):
        raise FrameError(
            f'format {_shown(message.format)} is of a depth camera: the topic is the wrong one. '
            'For a grey or thermal camera set input.mono16 to window, full or bits:N'
        )
    data = bytes(message.data)
    try:
        pixels = files.decode(data, maximum_pixels)
    except FrameError as error:
        raise type(error)(
            f'compressed image (format {_shown(message.format)}, {len(data)} bytes): {error}; '
            f'{REMEDY}'
        ) from error
    return _as_sent(pixels, encoding, codec, tone)


def _as_sent(pixels: NDArray[Any], encoding: str, codec: str, tone: ToneMapper) -> Rgb:
    """Return RGB of what was decoded, heeding what it was made from."""
    pattern = encoding.rstrip('0168')
    # image_transport sends Bayer as JPEG of the grey image; of a mosaic in PNG it says nothing.
    if pattern in BAYER and pixels.ndim == 2 and 'compressed mono' not in codec:
        _require_bayer(pixels)
        return BAYER[pattern](tone(pixels) if pixels.dtype == np.uint16 else pixels)
    if encoding in COLOURS and pixels.ndim == 3 and 'compressed bgr' not in codec:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    return files.to_rgb(pixels, tone)


def _shown(name: str) -> str:
    return repr(name if len(name) <= SHOWN_CHARACTERS else f'{name[:SHOWN_CHARACTERS]}...')
