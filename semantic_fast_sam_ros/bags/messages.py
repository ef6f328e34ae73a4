"""Messages without ROS: camera messages out of CDR, outputs into CDR, with their definitions."""

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.rosbag2.metadata import dump_qos_v8, parse_qos
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from semantic_fast_sam_ros.bags.types import Message, Topic
from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.images.decoding import compressed_to_rgb, image_to_rgb
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.outputs.frame_outputs import (
    DETECTIONS_3D,
    FEATURES,
    FEATURES_SPACE,
    MARKERS,
    Compressed,
    Content,
    Detection,
    Pixels,
)
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
IMAGE_TYPES = (IMAGE, COMPRESSED)
DETECTIONS, LABEL_INFO = 'vision_msgs/msg/Detection2DArray', 'vision_msgs/msg/LabelInfo'
BOXES, MARKER_ARRAY = 'vision_msgs/msg/Detection3DArray', 'visualization_msgs/msg/MarkerArray'
POINTS, INFO, TEXT = (
    'sensor_msgs/msg/PointCloud2',
    'sensor_msgs/msg/CameraInfo',
    'std_msgs/msg/String',
)
OUTPUT_TYPES = {
    'label_image': IMAGE,
    'label_image/compressed': COMPRESSED,
    'label_colour': IMAGE,
    'confidence': IMAGE,
    'instances': IMAGE,
    'packed_instances': IMAGE,
    'detections': DETECTIONS,
    'overlay': IMAGE,
    'overlay/compressed': COMPRESSED,
    'label_info': LABEL_INFO,
    FEATURES: IMAGE,
    FEATURES_SPACE: TEXT,
    DETECTIONS_3D: BOXES,
    MARKERS: MARKER_ARRAY,
}
INFINITE = '{sec: 9223372036, nsec: 854775807}'
NUMBERS = {'reliable': 1, 'best_effort': 2, 'transient_local': 1, 'volatile': 2}


@functools.cache
def typestore() -> Any:
    """Return the message types: those of ROS 2 Jazzy, and vision_msgs from interfaces/."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for file in sorted(resource_folder('interfaces/vision_msgs/msg').glob('*.msg')):
        name = f'vision_msgs/msg/{file.stem}'
        types.update(get_types_from_msg(file.read_text(encoding='utf-8'), name))
    store.register(types)
    return store


def make(name: str, *values: object) -> Any:
    """Return a message of a type such as `std_msgs/msg/Header`."""
    return typestore().types[name](*values)


def new(kind: str, /, **fields: object) -> Any:
    """Return a message of which some fields are given, the others as rclpy's new messages."""
    return typestore().types[kind](**(_blanks(kind) | fields))


@functools.cache
def _blanks(kind: str) -> dict[str, Any]:
    """Return the fields of a new message of a type."""
    fields = {name: _blank(*told) for name, told in typestore().fielddefs[kind][1]}
    if kind == 'geometry_msgs/msg/Quaternion':
        fields['w'] = 1.0  # its definition says so, which the library does not keep
    return fields


def _blank(node: Nodetype, told: Any) -> Any:
    """Return the value of a field of a new message, as rosbags describes it."""
    if node is Nodetype.NAME:
        return new(told)
    if node is Nodetype.BASE:
        return '' if told[0] == 'string' else np.zeros(1, told[0])[0].item()
    (inner, name), count = told
    if inner is Nodetype.BASE and name[0] != 'string':
        return np.zeros(count, name[0])
    return [_blank(inner, name) for _ in range(count)]


def qos_text(reliability: str, durability: str, depth: int) -> str:
    """Return a publisher's QoS as rosbag2 stores it: a YAML list of one."""
    return '\n'.join(
        (
            '- history: 1',
            f'  depth: {depth}',
            f'  reliability: {NUMBERS[reliability]}',
            f'  durability: {NUMBERS[durability]}',
            f'  deadline: {INFINITE}',
            f'  lifespan: {INFINITE}',
            '  liveliness: 1',
            f'  liveliness_lease_duration: {INFINITE}',
            '  avoid_ros_namespace_conventions: false',
        )
    )


@functools.cache
def definition(kind: str) -> tuple[str, str]:
    """Return the text of a type, with what it nests, and its hash; empty if it is unknown."""
    if kind not in typestore().types:
        return '', ''
    return typestore().generate_msgdef(kind, ros_version=2)[0], typestore().hash_rihs01(kind)


def topic_of(name: str, kind: str, qos: str) -> Topic:
    """Return a topic with the definition of its type."""
    return Topic(name, kind, definition(kind)[0], 'ros2msg', definition(kind)[1], qos)


@functools.cache
def completed(topic: Topic) -> Topic:
    """Return a topic of another bag with QoS that all releases read, and with its definition.

    QoS that is not as rosbag2 stores it is left out.
    """
    qos = _readable_qos(topic.qos)
    known = topic_of(topic.name, topic.type, qos)
    if not topic.definition:
        return replace(known, serialization=topic.serialization)
    return replace(topic, qos=qos, type_hash=topic.type_hash or known.type_hash)


def _readable_qos(text: str) -> str:
    try:
        profiles = parse_qos(text)
        for profile in profiles:
            times = (profile.deadline, profile.lifespan, profile.liveliness_lease_duration)
            numbers = [profile.depth, *(n for time in times for n in (time.sec, time.nsec))]
            if any(type(number) is not int for number in numbers):
                return ''
            if type(profile.avoid_ros_namespace_conventions) is not bool:
                return ''
        return dump_qos_v8(profiles)
    except Exception:  # the library raises whatever it stumbles over
        return ''


def serialise(message: Any) -> bytes:
    """Return a message as CDR, with zeros as padding."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def camera_message(message: Message) -> Any:
    """Return a recorded message of a known type; raises FrameError if it is damaged."""
    try:
        return typestore().deserialize_cdr(message.data, message.topic.type)
    except Exception as error:  # the library raises whatever the damage leads to
        raise FrameError(
            f'{len(message.data)} bytes are no {message.topic.type}: {error!r}'
        ) from error


def to_rgb(
    message: Any, maximum_pixels: int, tone: ToneMapper | None = None
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a camera message's image as the node would see it; raises FrameError."""
    compressed = message.__msgtype__ == COMPRESSED
    rgb = (compressed_to_rgb if compressed else image_to_rgb)(message, maximum_pixels, tone)
    return np.require(rgb, requirements='W')  # torch warns of views on the bag's own bytes


def output_message(content: Content, header: Any) -> Any:
    """Return the message of an output's content, equal to the one that the node publishes."""
    if isinstance(content, Pixels):
        pixels = np.ascontiguousarray(content.pixels)
        height, width = pixels.shape[:2]
        data = pixels.reshape(-1).view(np.uint8)
        step = pixels.itemsize * math.prod(pixels.shape[1:])
        return make(IMAGE, header, height, width, content.encoding, 0, step, data)
    if isinstance(content, Compressed):
        return make(COMPRESSED, header, content.format, content.data)
    return make(DETECTIONS, header, [_detection(item, header) for item in content])


def label_info(vocabulary: Vocabulary, header: Any) -> Any:
    """Return the ids and names of a vocabulary; id 0, unlabelled, is not among them."""
    classes = [make('vision_msgs/msg/VisionClass', c.id, c.name) for c in vocabulary.published]
    return make(LABEL_INFO, header, classes, 0.0)


def _detection(item: Detection, header: Any) -> Any:
    point = make('vision_msgs/msg/Point2D', *item.centre)
    box = make(
        'vision_msgs/msg/BoundingBox2D', make('vision_msgs/msg/Pose2D', point, 0.0), *item.size
    )
    results = [
        make(
            'vision_msgs/msg/ObjectHypothesisWithPose',
            make('vision_msgs/msg/ObjectHypothesis', name, score),
            new('geometry_msgs/msg/PoseWithCovariance'),
        )
        for name, score in item.hypotheses
    ]
    return make('vision_msgs/msg/Detection2D', header, results, box, item.id)
