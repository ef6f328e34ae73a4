"""What the outputs of a frame contain, before they are messages of rclpy or of a bag."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.images.calibration import Calibration
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs import overlay
from semantic_fast_sam_ros.core.outputs.found import Found, heat
from semantic_fast_sam_ros.core.outputs.outlines import Outlines, outlines
from semantic_fast_sam_ros.core.outputs.resize import resize_result
from semantic_fast_sam_ros.core.settings.config import parse_size
from semantic_fast_sam_ros.core.settings.node import CAMERA_INFO, OutputSettings

LABELS_PNG, COLOURS = 'label_image/compressed', 'label_colour'
OVERLAY, OVERLAY_JPEG = 'overlay', 'overlay/compressed'
PACKED_INSTANCES, ANNOTATIONS = 'packed_instances', 'annotations'
POINTS, DETECTIONS_3D, MARKERS = 'points', 'detections_3d', 'objects/markers'
FEATURES, FEATURES_SPACE = 'features', 'features/space'
FOUND, HEAT, REMEMBERED = 'query/detections', 'query/heat', 'query/remembered'
FOUND_3D = 'query/detections_3d'
DEPTH_TOPICS = (POINTS, DETECTIONS_3D, MARKERS, FOUND_3D)  # made of labels and depth
OF_FEATURES = (FEATURES, FOUND, HEAT, REMEMBERED, FOUND_3D)  # made of the masks' vectors
MAX_PACKED_INSTANCE = 32767  # the sign of the 32 bits stays free
# As image_transport writes them; its `compressed` subscribers read the encoding before the `;`.
JPEG_FORMAT = 'rgb8; jpeg compressed bgr8'
PNG_FORMAT = '{encoding}; png compressed '


@dataclass(frozen=True)
class Pixels:
    """Content of a sensor_msgs/Image."""

    pixels: NDArray[Any]  # (H, W) or (H, W, C), uint8, uint16, int32 or float32
    encoding: str


@dataclass(frozen=True)
class Compressed:
    """Content of a sensor_msgs/CompressedImage."""

    data: NDArray[np.uint8]  # (N,), a JPEG or PNG file
    format: str


@dataclass(frozen=True)
class Detection:
    """Content of a vision_msgs/Detection2D."""

    id: str  # the mask id that the instance image carries
    centre: tuple[float, float]  # x, y in pixels
    size: tuple[float, float]  # width, height in pixels
    hypotheses: tuple[tuple[str, float], ...]  # class name and score, best first
    seen_ns: int | None = None  # stamp of an earlier image that showed it last


Content: TypeAlias = Pixels | Compressed | tuple[Detection, ...] | Outlines | Calibration


def frame_contents(
    image: NDArray[np.uint8],
    result: SegmentationResult,
    settings: OutputSettings,
    wanted: Collection[str],
    size: tuple[int, int] | None = None,
    calibration: Calibration | None = None,
    found: Found | None = None,
) -> Iterator[tuple[str, Content]]:
    """Give the wanted topics and their contents, each built when it is asked for.

    Args:
        image: (H, W, 3) RGB, the input.
        result: of that image.
        settings: output size, and how the overlay looks.
        wanted: names such as `label_image`, of those that the node publishes.
        size: height and width, where messages give them; None: as the settings say.
        calibration: of the image, for `camera_info`.
        found: what a query says of the masks, where there is one.
    """
    sized = at_output_size(result, settings, size)
    height, width = sized.label_map.shape
    builders: dict[str, Callable[[], Content]] = {
        'label_image': lambda: label_pixels(sized),
        LABELS_PNG: lambda: png(label_pixels(sized)),
        'confidence': lambda: Pixels(sized.confidence, 'mono8'),
        'instances': lambda: Pixels(sized.instances, 'mono16'),
        PACKED_INSTANCES: lambda: Pixels(pack_instances(sized), '32SC1'),
        COLOURS: lambda: Pixels(overlay.colour_labels(sized), 'rgb8'),
        'detections': lambda: detections(sized),
        ANNOTATIONS: lambda: outlines(sized),
    }
    if calibration is not None:
        builders[CAMERA_INFO] = lambda: calibration.resized((height, width))
    if result.features is not None:
        builders[FEATURES] = partial(Pixels, result.features, '32FC1')
    if found is not None:
        builders[FOUND] = lambda: found_detections(sized, found)
        builders[HEAT] = lambda: Pixels(heat(sized, found), 'mono8')
    for topic, build in builders.items():
        if topic in wanted:
            yield topic, build()
    if OVERLAY in wanted or OVERLAY_JPEG in wanted:
        drawn = overlay.overlay(overlay.fit(image, sized.label_map.shape), sized, settings)
        if OVERLAY in wanted:
            yield OVERLAY, Pixels(drawn, 'rgb8')
        if OVERLAY_JPEG in wanted:
            yield OVERLAY_JPEG, jpeg(drawn, settings.jpeg_quality)


def at_output_size(
    result: SegmentationResult, settings: OutputSettings, size: tuple[int, int] | None
) -> SegmentationResult:
    """Return a result at the size that messages give, else at that of the settings."""
    height, width = size or parse_size(settings.size) or result.label_map.shape
    return resize_result(result, (height, width))


def label_pixels(result: SegmentationResult) -> Pixels:
    """Return the label map as mono8, or mono16 where ids need it."""
    return Pixels(result.label_map, 'mono8' if result.label_map.dtype == np.uint8 else 'mono16')


def pack_instances(result: SegmentationResult) -> NDArray[np.int32]:
    """Return mask id and class id of each pixel in one number, (H, W): id << 16 | class."""
    instances = result.instances.astype(np.int32)
    instances[instances > MAX_PACKED_INSTANCE] = 0
    return (instances << 16) | result.label_map.astype(np.int32)


def detections(result: SegmentationResult) -> tuple[Detection, ...]:
    """Return one detection a mask, with the names it may have."""
    names = {c.id: c.name for c in result.vocabulary.classes}
    found = []
    for row, ids in enumerate(result.class_ids):
        ranked = zip(ids, result.class_scores[row], strict=True)
        told = tuple((names[int(i)], float(s)) for i, s in ranked if i in names and s > 0)
        found.append(_detection(result, row, told))
    return tuple(found)


def found_detections(result: SegmentationResult, found: Found) -> tuple[Detection, ...]:
    """Return one detection a mask that a query found, likeliest first, with the words for it."""
    return tuple(_detection(result, row, told) for row, told in found.ranked())


def _detection(
    result: SegmentationResult, row: int, hypotheses: tuple[tuple[str, float], ...]
) -> Detection:
    box = result.boxes[row]
    left, top, right, bottom = (float(v) for v in box)
    return Detection(
        str(result.mask_ids[row]),
        ((left + right) / 2, (top + bottom) / 2),
        (float(box[2] - box[0]), float(box[3] - box[1])),
        hypotheses,
    )


def png(image: Pixels) -> Compressed:
    """Encode an image of one channel, without loss."""
    _, encoded = cv2.imencode('.png', image.pixels)
    return Compressed(
        np.asarray(encoded, np.uint8).ravel(), PNG_FORMAT.format(encoding=image.encoding)
    )


def jpeg(pixels: NDArray[np.uint8], quality: int) -> Compressed:
    """Encode an RGB image."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Compressed(np.asarray(encoded, np.uint8).ravel(), JPEG_FORMAT)
