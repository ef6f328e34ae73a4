"""Where images come from: folders, videos, webcams, rosbags, a photo under a virtual camera."""

import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.bags.pictures import find_files, open_video, read_file
from semantic_fast_sam_ros.bags.types import Loss
from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError
from semantic_fast_sam_ros.core.base.stamps import stamp_ns
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.images.walking import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    files_below,
)
from semantic_fast_sam_ros.core.settings.node import MAXIMUM_PIXELS, InputSettings

if TYPE_CHECKING:
    from semantic_fast_sam_ros.bags.reader import BagReader

VIRTUAL_CAMERA_PERIOD = 240  # frames after which the virtual camera is back where it was
Rgb = NDArray[np.uint8]  # (H, W, 3)


@dataclass(frozen=True)
class Frame:
    """An image, and when it was taken where the source knows."""

    image: Rgb
    stamp_ns: int | None = None  # of the header
    time_ns: int | None = None  # when it was recorded
    frame_id: str = ''


def tell(what: str) -> None:
    """Print it to people, beside what programs read."""
    print(what, file=sys.stderr)


def open_source(
    text: str,
    topic: str = '',
    hear: Callable[[str], None] = tell,
    note: Callable[[str], None] = tell,
) -> Iterator[Frame]:
    """Return the frames of a source, read one at a time.

    Args:
        text: an image, a video or a folder of them, a webcam such as /dev/video0, a rosbag2
            folder or file; empty for a street photo under a moving virtual camera.
        topic: of a bag with several image topics.
        hear: takes what is left out, and why.
        note: takes what else is worth knowing.

    Raises:
        ConfigError: there is no such source, or nothing to see in it.
    """
    if not text:
        return virtual_camera(street_photo())
    path = Path(text).expanduser()
    if text.startswith('/dev/video'):
        return _video(text)
    if not path.exists():
        raise ConfigError(
            f'no image source {text}: give a folder, video, webcam (/dev/video0) or rosbag'
        )
    if recording := _recording(path):
        return _bag(recording, topic, hear, note)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        losses: list[Loss] = []
        return _files(path, find_files(path, losses), losses, hear, note)
    return _video(str(path))


def street_photo() -> Rgb:
    """Return the street scene that ultralytics ships."""
    return read_image(photo_file('ultralytics', 'assets/bus.jpg'), MAXIMUM_PIXELS)


def photo_file(package: str, file: str) -> Path:
    """Return a photo that an installed package ships, without importing that.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed', name=package)
    return Path(found.origin).parent / file


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


def _files(
    path: Path,
    files: list[Path],
    losses: list[Loss],
    hear: Callable[[str], None],
    note: Callable[[str], None],
) -> Iterator[Frame]:
    """Give the images of a camera, as which all files are taken."""
    tone, count, reason = ToneMapper(), 0, ''
    for file in files:
        warning = ''
        for picture in read_file(file, path, losses, InputSettings(), tone):
            if picture.image is None:
                reason = picture.refusal
                hear(f'left out: {reason}')
                continue
            if picture.warning and not warning:
                warning = picture.warning
                note(f'{file}: {warning}')
            count += 1
            yield Frame(picture.image)
    for loss in losses:
        hear(f'not read: {loss}')
    if not count:
        raise FrameError(f'{path}: nothing could be read. {reason}')


def _video(name: str) -> Iterator[Frame]:
    capture = open_video(name)
    if not capture.isOpened():
        hint = ' (is it there, are you in the group video, has nobody else opened it?)'
        raise ConfigError(
            f'{name} cannot be opened as a video or camera'
            + (hint if name.startswith('/dev/') else '')
        )
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


def _recording(path: Path) -> Path | None:
    """Return the recording that a path is, or the only one in a folder without pictures.

    Raises:
        ConfigError: there are several.
    """
    from semantic_fast_sam_ros.bags.recording_files import is_bag, recordings_below

    if is_bag(path):
        return path
    if not path.is_dir() or files_below(path, IMAGE_SUFFIXES + VIDEO_SUFFIXES, unread=[]):
        return None
    inside, _ = recordings_below(path)
    if len(inside) > 1:
        listed = ', '.join(str(recording.relative_to(path)) for recording in inside)
        raise ConfigError(f'{path} holds {len(inside)} recordings, name one of them: {listed}')
    return inside[0] if inside else None


def _bag(
    path: Path, topic: str, hear: Callable[[str], None], note: Callable[[str], None]
) -> Iterator[Frame]:
    from semantic_fast_sam_ros.bags.cameras import choose_cameras
    from semantic_fast_sam_ros.bags.reader import BagReader

    reader = BagReader(path)
    camera, *others = choose_cameras(reader, [topic] if topic else [])
    for difference in reader.notes:
        note(f'note: {difference}')
    if others:
        note(f'note: {camera} is played; there are also {", ".join(others)} (--bag-topic)')
    return _bag_frames(reader, camera, hear)


def _bag_frames(reader: 'BagReader', camera: str, hear: Callable[[str], None]) -> Iterator[Frame]:
    from semantic_fast_sam_ros.bags.messages import camera_message, to_rgb

    tone = ToneMapper()
    for recorded in reader.messages(lambda topic: topic.name == camera):
        try:
            message = camera_message(recorded)
            image = to_rgb(message, MAXIMUM_PIXELS, tone)
        except FrameError as error:
            hear(f'{camera}: image left out: {error}')
            continue
        header = message.header
        yield Frame(image, stamp_ns(header), recorded.time_ns, header.frame_id)
    for loss in reader.losses:
        hear(f'not read: {loss}')
