"""The images that are timed: photos that an installed package ships, at any size."""

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.settings.node import MAXIMUM_PIXELS

Rgb: TypeAlias = NDArray[np.uint8]  # (H, W, 3)
PHOTOS = ('bus.jpg', 'zidane.jpg')  # ultralytics' sample images
VIEWS = (0.35, 0.65)  # parts of each
MAXIMUM_SIDE = 7680


def photos(size: tuple[int, int]) -> list[Rgb]:
    """Return four views of two photos at (height, width), none stretched."""
    weights.silence_libraries()
    from ultralytics.utils import ASSETS

    found = []
    for name in PHOTOS:
        photo = read_image(Path(ASSETS) / name, MAXIMUM_PIXELS)
        found += [view(photo, size, at) for at in VIEWS]
    return found


def view(photo: Rgb, size: tuple[int, int], at: float) -> Rgb:
    """Return the largest part of a photo with the shape of (height, width), at that size.

    Args:
        photo: (H, W, 3).
        size: wanted.
        at: where the part lies in what is left over, 0 to 1.
    """
    height, width = photo.shape[:2]
    scale = min(height / size[0], width / size[1])
    rows, columns = max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
    top, left = int((height - rows) * at), int((width - columns) * at)
    part = photo[top : top + rows, left : left + columns]
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size[::-1], interpolation=way), np.uint8)


def parse_size(text: str) -> tuple[int, int]:
    """Read 'WIDTHxHEIGHT' as (height, width); raises ConfigError with what would be right."""
    width, _, height = text.strip().partition('x')
    sides = [int(side) for side in (height, width) if side.isdecimal()]
    if len(sides) != 2 or not all(0 < side <= MAXIMUM_SIDE for side in sides):
        raise ConfigError(
            f'a size is WIDTHxHEIGHT of up to {MAXIMUM_SIDE} pixels such as 640x480, not {text!r}'
        )
    return sides[0], sides[1]
