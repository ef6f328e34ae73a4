"""Arrays and contents to rclpy's messages; the way back is core/images/decoding.py."""

import array
import functools
import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from semantic_fast_sam_ros.core.images.calibration import Calibration
from semantic_fast_sam_ros.core.images.decoding import ENCODINGS, compressed_to_rgb, image_to_rgb
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs import frame_outputs
from semantic_fast_sam_ros.core.outputs.frame_outputs import Compressed, Content, Pixels
from semantic_fast_sam_ros.core.outputs.outlines import Outlines
from semantic_fast_sam_ros.core.outputs.point_cloud import POINT
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.ros.annotations import image_annotations

# What the fields of core/outputs/point_cloud.py are told as: `rgb` is a float by convention.
POINT_TYPES = dict.fromkeys(POINT.names, PointField.FLOAT32) | {'label': PointField.UINT32}
__all__ = (
    'ENCODINGS',
    'array_to_image',
    'bytes_to_array',
    'camera_info',
    'compressed_to_rgb',
    'detections',
    'image_to_rgb',
    'jpeg_message',
    'label_image',
    'label_info',
    'new',
    'point_cloud',
    'to_message',
)


def new(kind: str, /, **fields: object) -> Any:
    """Return a message of a type such as `geometry_msgs/msg/Point`."""
    return _type(kind)(**fields)


@functools.cache
def _type(kind: str) -> Any:
    package, _, name = kind.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


def to_message(content: Content, header: Header) -> Any:
    """Return the message of an output's content."""
    if isinstance(content, Pixels):
        return array_to_image(content.pixels, content.encoding, header)
    if isinstance(content, Compressed):
        message = CompressedImage(header=header, format=content.format)
        message.data = bytes_to_array(content.data)
        return message
    if isinstance(content, Calibration):
        return camera_info(content, header)
    if isinstance(content, Outlines):
        return image_annotations(content, header)
    return _detection_array(content, header)


def array_to_image(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    """Return an Image message with tight rows of (H, W) or (H, W, C) pixels of any type."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, height=pixels.shape[0], width=pixels.shape[1])
    message.encoding = encoding
    message.is_bigendian = 0
    message.step = pixels.itemsize * math.prod(pixels.shape[1:])
    message.data = bytes_to_array(pixels)
    return message


def jpeg_message(pixels: NDArray[np.uint8], quality: int, header: Header) -> CompressedImage:
    """Return an RGB image as a JPEG message."""
    return to_message(frame_outputs.jpeg(pixels, quality), header)


def bytes_to_array(pixels: NDArray[Any]) -> 'array.array[int]':
    """Return the bytes as the one type that a uint8[] field takes without checking each value."""
    data = array.array('B')
    data.frombytes(pixels.data.cast('B') if pixels.size else b'')
    return data


def camera_info(calibration: Calibration, header: Header) -> CameraInfo:
    """Return a calibration as the message that goes beside an image."""
    message = CameraInfo(header=header, width=calibration.width, height=calibration.height)
    message.distortion_model = calibration.distortion_model
    message.d, message.r = list(calibration.d), list(calibration.r)
    message.k, message.p = list(calibration.k), list(calibration.p)
    message.binning_x, message.binning_y = calibration.binning
    roi = message.roi
    roi.x_offset, roi.y_offset, roi.width, roi.height = calibration.region
    roi.do_rectify = calibration.rectify_region
    return message


def point_cloud(points: NDArray[np.void], header: Header) -> PointCloud2:
    """Return points as a cloud: organised if they are (H, W), else one row of them."""
    height, width = points.shape if points.ndim == 2 else (1, len(points))
    message = PointCloud2(header=header, height=height, width=width, is_bigendian=False)
    message.fields = [
        PointField(name=name, offset=offset, datatype=POINT_TYPES[name], count=1)
        for name, (_, offset) in POINT.fields.items()
    ]
    message.point_step, message.row_step = POINT.itemsize, POINT.itemsize * width
    message.is_dense = points.ndim == 1
    message.data = bytes_to_array(points.view(np.uint8))
    return message


def label_image(result: SegmentationResult, header: Header) -> Image:
    """Return the label map as mono8, or mono16 where ids need it."""
    return to_message(frame_outputs.label_pixels(result), header)


def detections(result: SegmentationResult, header: Header) -> Detection2DArray:
    """Return one detection a mask: `id` as in the instance image, `class_id` the class name."""
    return _detection_array(frame_outputs.detections(result), header)


def label_info(vocabulary: Vocabulary, header: Header) -> LabelInfo:
    """Return the ids and names of a vocabulary; id 0, unlabelled, is not among them."""
    classes = [VisionClass(class_id=c.id, class_name=c.name) for c in vocabulary.published]
    return LabelInfo(header=header, class_map=classes, threshold=0.0)


def _seen(item: frame_outputs.Detection, header: Header) -> Header:
    """Return the header with the stamp of the image that showed something last."""
    if item.seen_ns is None:
        return header
    seen = Header(frame_id=header.frame_id)
    seen.stamp.sec, seen.stamp.nanosec = divmod(item.seen_ns, 10**9)
    return seen


def _detection_array(
    found: tuple[frame_outputs.Detection, ...], header: Header
) -> Detection2DArray:
    message = Detection2DArray(header=header)
    for item in found:
        detection = Detection2D(header=_seen(item, header), id=item.id)
        detection.bbox.center.position.x, detection.bbox.center.position.y = item.centre
        detection.bbox.size_x, detection.bbox.size_y = item.size
        for name, score in item.hypotheses:
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = name
            hypothesis.hypothesis.score = score
            detection.results.append(hypothesis)
        message.detections.append(detection)
    return message
