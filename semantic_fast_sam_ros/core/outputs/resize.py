"""Bring a result to another size, as consumers with fixed image sizes need it."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.masks.types import SegmentationResult


def resize_result(result: SegmentationResult, size: tuple[int, int]) -> SegmentationResult:
    """Return the result at (height, width): maps by nearest neighbour, boxes scaled."""
    height, width = result.label_map.shape
    if (height, width) == size:
        return result
    scale = np.array([size[1] / width, size[0] / height] * 2, np.float32)
    return replace(
        result,
        label_map=nearest(result.label_map, size),
        confidence=nearest(result.confidence, size),
        instances=nearest(result.instances, size),
        boxes=result.boxes * scale,
    )


def nearest(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize (H, W) to (height, width), each pixel taking the value at its centre."""
    if values.shape == size:
        return values
    # Not cv2.INTER_NEAREST, which takes the pixel up and left of the centre.
    resized: NDArray[Any] = cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return resized
