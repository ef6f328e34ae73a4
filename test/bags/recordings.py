"""Write recordings for the tests: with the rosbags library, whole or damaged."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
SIZE = (36, 48)  # height, width
QOS = Qos(
    QosHistory.KEEP_LAST,
    7,
    QosReliability.BEST_EFFORT,
    QosDurability.VOLATILE,
    QosTime(1, 2),
    QosTime(3, 4),
    QosLiveliness.AUTOMATIC,
    QosTime(5, 6),
    False,
)


def picture(index: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return an image of noise that differs for every index, (H, W, 3) RGB."""
    return np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)


def header(time_ns: int, frame_id: str = 'camera') -> Any:
    """Return a header."""
    stamp = TYPES['builtin_interfaces/msg/Time'](time_ns // 10**9, time_ns % 10**9)
    return TYPES['std_msgs/msg/Header'](stamp, frame_id)


def image_message(pixels: NDArray[np.uint8], time_ns: int, frame_id: str = 'camera') -> Any:
    """Return an rgb8 image message."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).ravel()
    return TYPES[IMAGE](header(time_ns, frame_id), height, width, 'rgb8', 0, 3 * width, data)


def compressed_message(pixels: NDArray[np.uint8], time_ns: int, suffix: str = '.png') -> Any:
    """Return a compressed image message."""
    data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].ravel()
    return TYPES[COMPRESSED](header(time_ns), suffix[1:], data)


def odd_message(kind: str, time_ns: int) -> Any:
    """Return an image message that is no picture: depth, disparity, video or compressed data."""
    if kind in ('16UC1', '32FC1'):
        size = 2 if kind == '16UC1' else 4
        data = np.zeros(36 * 48 * size, np.uint8)
        return TYPES[IMAGE](header(time_ns), 36, 48, kind, 0, 48 * size, data)
    depth = cv2.imencode('.png', np.zeros(SIZE, np.uint16))[1].ravel()
    form, data = {
        'h264': ('h264', np.frombuffer(b'\0\0\0\1\x67' + bytes(90), np.uint8)),
        'zstd': ('rgb8; zstd', np.frombuffer(b'\x28\xb5\x2f\xfd' + bytes(90), np.uint8)),
        'depth png': ('16UC1; png compressed', depth),
        'compressedDepth': (
            '16UC1; compressedDepth png',
            np.concatenate([np.zeros(12, np.uint8), depth]),
        ),
    }[kind]
    return TYPES[COMPRESSED](header(time_ns), form, data)


def text_message(text: str) -> Any:
    """Return a message of no camera."""
    return TYPES['std_msgs/msg/String'](text)


def write_bag(
    folder: Path,
    messages: Iterable[tuple[str, int, Any]],
    storage: str = 'mcap',
    compression: str = 'none',
    version: int = 9,
    silent: Iterable[tuple[str, str]] = (),
) -> Path:
    """Write (topic, record time, message) triples; compression as CompressionMode names it.

    `silent` are topics with their types that were offered, but said nothing.
    """
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    writer = Writer(folder, version=version, storage_plugin=plugin)
    writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    connections: dict[str, Any] = {}
    with writer:
        for topic, kind in silent:
            writer.add_connection(topic, kind, typestore=STORE, offered_qos_profiles=[QOS])
        for topic, time_ns, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic, kind, typestore=STORE, offered_qos_profiles=[QOS]
                )
            data = STORE.serialize_cdr(message, kind)
            writer.write(connections[topic], time_ns, data)
    return folder


def camera(
    count: int, topic: str = '/camera/image_raw', first: int = 0, size: tuple[int, int] = SIZE
) -> list[Any]:
    """Return frames of one camera, recorded a millisecond after they were taken."""
    return [
        (topic, taken + 1_000_000, image_message(picture(i, size), taken))
        for i in range(first, first + count)
        for taken in [START_NS + i * PERIOD_NS]
    ]


def camera_bag(folder: Path, count: int = 10, **options: Any) -> Path:
    """Write a bag of one camera."""
    return write_bag(folder, camera(count), **options)
