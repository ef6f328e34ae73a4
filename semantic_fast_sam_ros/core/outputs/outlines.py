"""The outlines of masks as polygons, for viewers that draw them over the image."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.masks.types import SegmentationResult

DEVIATION_PX = 1.0  # of the polygon from the mask's border
MINIMUM_AREA_PX = 4.0  # of a part that gets a polygon


@dataclass(frozen=True)
class Outline:
    """One mask as far as it is seen, smaller masks lying over it."""

    id: int
    name: str  # empty: unlabelled
    colour: tuple[int, int, int]  # RGB of its class
    polygons: tuple[NDArray[np.float32], ...]  # (N, 2) x y in pixels, of the outer borders


@dataclass(frozen=True)
class Outlines:
    """The masks of an image, largest first."""

    masks: tuple[Outline, ...]


def outlines(result: SegmentationResult) -> Outlines:
    """Return the outlines of all masks of which something is seen."""
    palette, names = result.vocabulary.palette(), result.vocabulary.name_of
    found = []
    for row, mask_id in enumerate(result.mask_ids):
        polygons = _polygons(result.instances, int(mask_id), result.boxes[row])
        if polygons:
            best = int(result.class_ids[row, 0]) if result.class_scores[row, 0] > 0 else 0
            red, green, blue = (int(value) for value in palette[best])
            name = names(best) if best else ''
            found.append(Outline(int(mask_id), name, (red, green, blue), polygons))
    return Outlines(tuple(found))


def _polygons(
    instances: NDArray[np.uint16], mask_id: int, box: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """Return the outer borders of the pixels of a mask, which lie in its box."""
    left, top = (max(0, int(np.floor(v)) - 1) for v in box[:2])
    right, bottom = (int(np.ceil(v)) + 1 for v in box[2:])
    inside = (instances[top:bottom, left:right] == mask_id).view(np.uint8)
    borders, _ = cv2.findContours(
        inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top)
    )
    simple = (cv2.approxPolyDP(border, DEVIATION_PX, closed=True) for border in borders)
    # OpenCV counts from the centre of the first pixel, viewers from its corner.
    return tuple(
        np.asarray(polygon[:, 0] + 0.5, np.float32)
        for polygon in simple
        if len(polygon) > 2 and cv2.contourArea(polygon) >= MINIMUM_AREA_PX
    )
