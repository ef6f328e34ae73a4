"""Draw a result over its image so that a person on a small screen can read it."""

from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.masks import pixel_loops
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs import lettering
from semantic_fast_sam_ros.core.settings.node import OutputSettings

NAME_MINIMUM_SHARE = 0.012  # of the image, below which a region gets no name
MAX_NAMES = 14
SMALLEST_FONT = 10  # pixels
FONTS_A_SIDE = 32  # in the image's shorter side
BORDER_OPACITY = 0.7  # of the white between regions
Image = NDArray[np.uint8]  # (H, W, 3) RGB


def overlay(image: Image, result: SegmentationResult, settings: OutputSettings) -> Image:
    """Blend class colours over an image, with region borders and names.

    Args:
        image: (H, W, 3) RGB of the result's size.
        result: of that image.
        settings: opacity, and whether borders and names are drawn.

    Returns:
        a new (H, W, 3) RGB image; unlabelled pixels stay as they are.
    """
    drawn = np.empty_like(image, order='C')
    colours = result.vocabulary.palette().astype(np.float32)
    border = BORDER_OPACITY if settings.overlay_contours else 0.0
    arguments = (np.ascontiguousarray(image), result.label_map, colours, settings.overlay_opacity)
    jit.in_bands(partial(pixel_loops.blend_rows, *arguments, border, drawn), len(image))
    if settings.overlay_names:
        _draw_names(drawn, result)
    return drawn


def fit(image: Image, shape: tuple[int, ...]) -> Image:
    """Return the image at (height, width), as it is where it fits already."""
    if image.shape[:2] == tuple(shape):
        return image
    resized = cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def colour_labels(result: SegmentationResult) -> Image:
    """Return the label map in the vocabulary's colours, (H, W, 3) RGB; black = unlabelled."""
    return np.take(result.vocabulary.palette(), result.label_map, axis=0)


def _draw_names(drawn: Image, result: SegmentationResult) -> None:
    size = max(SMALLEST_FONT, round(min(result.label_map.shape) / FONTS_A_SIDE))
    for name, place in _name_places(result)[:MAX_NAMES]:
        lettering.write(drawn, name, place, size)


def _name_places(result: SegmentationResult) -> list[tuple[str, tuple[float, float]]]:
    """Return names and the widest places (x, y) of the larger regions, largest region first.

    Looked for on a map of about 160 pixels, which is exact enough for a name and cheap.
    """
    step = max(1, max(result.label_map.shape) // 160)
    small = result.label_map[::step, ::step]
    places = []
    for class_id in np.unique(small[small > 0]):
        count, regions, stats, _ = cv2.connectedComponentsWithStats(
            (small == class_id).astype(np.uint8), connectivity=8
        )
        for region in range(1, count):
            area = int(stats[region, cv2.CC_STAT_AREA])
            if area < NAME_MINIMUM_SHARE * small.size:
                continue
            left, top, width, height = (int(v) for v in stats[region, : cv2.CC_STAT_AREA])
            box = regions[top : top + height, left : left + width]
            inside = np.pad((box == region).astype(np.uint8), 1)
            distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
            y, x = np.unravel_index(int(distance.argmax()), distance.shape)
            name = result.vocabulary.name_of(int(class_id))
            places.append((area, name, (float((left + x) * step), float((top + y) * step))))
    places.sort(key=lambda place: -place[0])
    return [(name, place) for _, name, place in places]
