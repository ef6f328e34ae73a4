"""Where images come from: folders, videos, webcams, rosbags, a photo under a virtual camera."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.errors import ConfigError, FrameError

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff')
BAG_SUFFIXES = ('.mcap', '.db3')
VIRTUAL_CAMERA_PERIOD = 240  # frames after which the virtual camera is back where it was
IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
Rgb = NDArray[np.uint8]  # (H, W, 3)


@dataclass(frozen=True)
class Frame:
    """An image, and when it was taken where the source knows."""

    image: Rgb
    stamp_ns: int | None = None


def open_source(text: str, topic: str = '') -> Iterator[Frame]:
    """Return the frames of a source, read one at a time.

    Args:
        text: an image or a folder of images, a video file, a webcam such as /dev/video0, a
            rosbag2 folder or file; empty for a street photo under a moving virtual camera.
        topic: of a bag with several image topics.

    Raises:
        ConfigError: there is no such source, or nothing to see in it.
    """
    if not text:
        return virtual_camera(street_photo())
    path = Path(text).expanduser()
    if text.startswith('/dev/video'):
        return _video(text)
    if not path.exists():
        raise ConfigError(f'no image source {text}: give a folder, video, webcam or rosbag')
    if path.suffix in BAG_SUFFIXES or (path / 'metadata.yaml').exists():
        return _bag(path, topic)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise ConfigError(f'{path} holds no images ({", ".join(IMAGE_SUFFIXES)})')
        return (Frame(read_image(file)) for file in files)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return iter([Frame(read_image(path))])
    return _video(str(path))


def read_image(path: Path) -> Rgb:
    """Read an image file as (H, W, 3) RGB; raises FrameError if it is damaged."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FrameError(f'{path} is not a readable image')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def street_photo() -> Rgb:
    """Return the street scene that ultralytics ships."""
    from semantic_fast_sam_ros.core import weights

    weights.silence_libraries()
    from ultralytics.utils import ASSETS

    return read_image(Path(ASSETS) / 'bus.jpg')


def virtual_camera(photo: Rgb, size: tuple[int, int] = (480, 640)) -> Iterator[Frame]:
    """Pan and zoom over a photo for ever: frames of (height, width) that all differ a little."""
    height, width = photo.shape[:2]
    aspect = size[1] / size[0]
    widest = min(width, height * aspect)
    for index in itertools.count():
        phase = 2 * math.pi * index / VIRTUAL_CAMERA_PERIOD
        view_width = widest * (0.9 + 0.1 * math.cos(3 * phase))
        view_height = view_width / aspect
        left = (width - view_width) * (0.5 + 0.5 * math.sin(phase))
        top = (height - view_height) * (0.62 + 0.25 * math.sin(2 * phase))
        scale = size[1] / view_width
        view = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        yield Frame(cv2.warpAffine(photo, view, size[::-1], borderMode=cv2.BORDER_REFLECT))


def _video(name: str) -> Iterator[Frame]:
    capture = cv2.VideoCapture(name)
    if not capture.isOpened():
        raise ConfigError(f'{name} cannot be opened as a video or camera')
    return _video_frames(capture)


def _video_frames(capture: cv2.VideoCapture) -> Iterator[Frame]:
    try:
        while True:
            good, image = capture.read()
            if not good:
                return
            yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    finally:
        capture.release()


def _bag(path: Path, topic: str) -> Iterator[Frame]:
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.typesys import Stores, get_typestore

    folder = path if path.is_dir() or not (path.parent / 'metadata.yaml').exists() else path.parent
    reader = AnyReader([folder], default_typestore=get_typestore(Stores.ROS2_JAZZY))
    try:
        reader.open()
    except (AnyReaderError, OSError, ValueError) as error:
        raise ConfigError(f'{path} cannot be read as a rosbag2: {error}') from error
    connections = [
        c for c in reader.connections if c.msgtype in IMAGE_TYPES and topic in ('', c.topic)
    ]
    if not connections:
        seen = sorted({c.topic for c in reader.connections})
        raise ConfigError(f'{path} has no image topic {topic} (topics: {", ".join(seen)})')
    first = [c for c in connections if c.topic == connections[0].topic]
    return _bag_frames(reader, first)


def _bag_frames(reader: Any, connections: list[Any]) -> Iterator[Frame]:
    from semantic_fast_sam_ros.core.decoding import compressed_to_rgb, image_to_rgb

    with contextlib.closing(reader):
        for connection, _, raw in reader.messages(connections):
            message = reader.deserialize(raw, connection.msgtype)
            to_rgb = image_to_rgb if connection.msgtype == IMAGE_TYPES[0] else compressed_to_rgb
            stamp = message.header.stamp
            yield Frame(to_rgb(message, 1 << 26), stamp.sec * 10**9 + stamp.nanosec)
