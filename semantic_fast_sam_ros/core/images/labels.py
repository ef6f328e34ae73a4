"""Label images: PNG files whose values are class numbers, whatever bits and palette they have."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.files import (
    JPEG,
    check_size,
    check_whole,
    file_content,
    open_header,
)
from semantic_fast_sam_ros.core.settings.node import MAXIMUM_PIXELS

DEPTH_BYTE = 24  # of a PNG: bits a channel


def read_labels(path: Path, maximum_pixels: int = MAXIMUM_PIXELS) -> NDArray[np.unsignedinteger]:
    """Read a label image: (H, W) uint8 or uint16, as stored.

    Of a palette the indices are returned, and grey of 1, 2 and 4 bits is not spread over 0 to 255,
    as decoders do it for the eye.

    Raises:
        FrameError: it is missing, no PNG, damaged, too large, or holds colours, not numbers.
    """
    values: NDArray[np.unsignedinteger] = file_content(
        path, lambda data: _values(data, maximum_pixels)
    )
    return values


def _values(data: bytes, maximum_pixels: int) -> NDArray[np.unsignedinteger]:
    if data.startswith(JPEG):
        raise FrameError('a label image is a PNG, this is JPEG, which keeps no class numbers')
    kind, image = open_header(data)
    if kind != 'PNG':
        raise FrameError(f'a label image is a PNG, this is {kind}')
    check_size(image.size[0], image.size[1], maximum_pixels)
    check_whole(kind, data)
    bits = data[DEPTH_BYTE]
    try:
        pixels = np.asarray(image)
    except Exception as error:  # Pillow's decoders raise many kinds
        raise FrameError(f'damaged PNG: {error}') from error
    if image.mode == 'L' and bits in (2, 4):
        return pixels // np.uint8(255 // ((1 << bits) - 1))  # as Pillow spread them
    if pixels.ndim == 3:
        raise FrameError(
            f'it is {image.mode} with {bits} bits: a label image has one channel of class '
            'numbers, 8 or 16 bits (a palette will do)'
        )
    return pixels.astype(np.uint16 if bits == 16 else np.uint8)
