"""A labelled point cloud from a depth image: pure arithmetic, as depth_image_proc does it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.decoding import ImageMessage, pixel_rows
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs import overlay
from semantic_fast_sam_ros.core.outputs.resize import nearest
from semantic_fast_sam_ros.core.settings.node import CloudSettings

# REP 118: 16 bits are millimetres, floats are metres. Drivers also say mono16 for the former.
DEPTH_TYPES = {'16UC1': ('u2', 0.001), 'mono16': ('u2', 0.001), '32FC1': ('f4', 1.0)}
ASPECT_TOLERANCE = 0.02  # by which width / height of image and depth may differ
# What RViz, PCL (PointXYZRGBL) and Hydra read: `rgb` is told as a float32 that holds 0x00RRGGBB,
# `label` is an integer. Filled as the integer, which no copy of a float can change.
POINT = np.dtype(
    [(name, '<f4') for name in ('x', 'y', 'z')]
    + [('rgb', '<u4'), ('label', '<u4'), ('confidence', '<f4')]
)


def depth_metres(message: ImageMessage, maximum_pixels: int) -> NDArray[np.float32]:
    """Return a depth image as (H, W) metres, NaN where nothing was measured.

    Raises:
        FrameError: it is no depth image, or size, step and data contradict each other.
    """
    if message.encoding not in DEPTH_TYPES:
        raise FrameError(
            f'a depth image cannot be {message.encoding!r}; accepted: {", ".join(DEPTH_TYPES)}'
        )
    kind, scale = DEPTH_TYPES[message.encoding]
    number = np.dtype(('>' if message.is_bigendian else '<') + kind)
    rows = pixel_rows(message, number.itemsize, maximum_pixels)
    depth = np.ascontiguousarray(rows).view(number).astype(np.float32)
    depth *= np.float32(scale)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def result_points(
    image: NDArray[np.uint8],
    result: SegmentationResult,
    depth: NDArray[np.float32],
    intrinsics: tuple[float, float, float, float],
    settings: CloudSettings,
) -> NDArray[np.void]:
    """Return the points of a labelled image and its depth, whatever their sizes.

    Args:
        image: (H, W, 3) RGB.
        result: of that image.
        depth: (h, w) metres, NaN where there is none; of the same view.
        intrinsics: fx, fy, cx, cy of the depth image, pixels.
        settings: which points, in which colours.

    Raises:
        FrameError: the depth image cannot be one of the same view, or is not calibrated.
    """
    require_registered(depth.shape, image.shape[:2], intrinsics)
    size = (depth.shape[0], depth.shape[1])
    labels = nearest(result.label_map, size)
    confidence = nearest(result.confidence, size)
    if settings.colours == 'classes':
        colours = np.take(result.vocabulary.palette(), labels, axis=0)
    else:
        colours = overlay.fit(image, size)
    return labelled_points(depth, intrinsics, colours, labels, confidence, settings.organised)


def require_registered(
    depth_size: tuple[int, ...],
    image_size: tuple[int, ...],
    intrinsics: tuple[float, float, float, float],
) -> None:
    """Check that a depth image can be one of the same view as an image, sizes as height, width.

    Raises:
        FrameError: it cannot, or is not calibrated.
    """
    (height, width), (image_height, image_width) = depth_size, image_size
    if abs(width * image_height / (height * image_width) - 1) > ASPECT_TOLERANCE:
        raise FrameError(
            f'the depth image of {width}x{height} is not registered to the camera, whose images '
            f'are {image_width}x{image_height}'
        )
    if not intrinsics[0] > 0 or not intrinsics[1] > 0:
        raise FrameError('the depth camera is not calibrated: its focal lengths are 0')


def labelled_points(
    depth: NDArray[np.float32],
    intrinsics: tuple[float, float, float, float],
    colours: NDArray[np.uint8],
    labels: NDArray[np.unsignedinteger],
    confidence: NDArray[np.uint8],
    organised: bool,
) -> NDArray[np.void]:
    """Return points in the camera's optical frame, metres: x right, y down, z forward.

    Args:
        depth: (H, W) metres, NaN where there is none.
        intrinsics: fx, fy, cx, cy of the depth image, pixels.
        colours: (H, W, 3) RGB.
        labels: (H, W) class id, 0 = unlabelled.
        confidence: (H, W) 0-255; in the points 0 to 1.
        organised: keep one point a pixel.

    Returns:
        POINT records: (H, W) with x, y, z NaN where there is no depth, or (N,) with depth.
    """
    fx, fy, cx, cy = intrinsics
    height, width = depth.shape
    across = ((np.arange(width) - cx) / fx).astype(np.float32)
    down = ((np.arange(height) - cy) / fy).astype(np.float32)
    points = np.empty(depth.shape, POINT)
    np.multiply(depth, across, out=points['x'])
    np.multiply(depth, down[:, None], out=points['y'])
    points['z'], points['rgb'], points['label'] = depth, _packed(colours), labels
    np.multiply(confidence, np.float32(1 / 255), out=points['confidence'])
    # Eight times as fast as an index of truth values.
    return points if organised else points.ravel().take(np.flatnonzero(np.isfinite(depth)))


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return 0x00RRGGBB of each pixel."""
    bgra = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2BGRA))
    packed: NDArray[np.uint32] = bgra.view('<u4')[..., 0]
    packed &= np.uint32(0xFFFFFF)
    return packed
