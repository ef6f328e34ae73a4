"""Images and the frames of videos, out of files and folders; without torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.bags.types import Loss
from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.images.walking import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    files_below,
    require_unique,
)
from semantic_fast_sam_ros.core.settings.node import InputSettings

if TYPE_CHECKING:
    from semantic_fast_sam_ros.core.masks.types import SegmentationResult

Rgb = NDArray[np.uint8]


@dataclass
class Picture:
    """A frame on its way: its name below the output folders, its time, its pixels."""

    name: str
    group: str  # the folder or video that it is from
    time_ns: int
    image: Rgb | None
    refusal: str = ''
    warning: str = ''
    result: 'SegmentationResult | None' = None


def find_files(source: Path, losses: list[Loss], but: Path | None = None) -> list[Path]:
    """Return the image and video files of a source in natural order, without those of a folder.

    Args:
        source: an image, a video or a folder of them.
        losses: gets the folders below that cannot be read.
        but: a folder to leave out.

    Raises:
        ConfigError: there is none.
    """
    if not source.exists():
        raise ConfigError(f'there is no {source}')
    if source.is_file():
        return [source]
    known = IMAGE_SUFFIXES + VIDEO_SUFFIXES
    unread: list[OSError] = []
    files = files_below(source, known, but=but, unread=unread)
    losses += [Loss(str(error.filename), f'cannot be read: {error.strerror}') for error in unread]
    if not files:
        told = '; '.join(map(str, losses)) or ', '.join(known)
        raise ConfigError(f'{source} holds no images or videos ({told})')
    return files


def require_unique_names(files: list[Path], source: Path) -> None:
    """Refuse files whose outputs would overwrite each other.

    A video's frames lie in a folder of its name, where images may lie as well.

    Raises:
        ConfigError: it names two of them.
    """
    require_unique(files, lambda file: _name(file, source))
    videos = {_name(file, source): file for file in files if is_video(file)}
    for file in files:
        name = Path(_name(file, source))
        if name.name.isdecimal() and str(name.parent) in videos:
            raise ConfigError(
                f'frames of {videos[str(name.parent)]} and {file} would both be {str(name)!r} '
                'in the output: rename the video'
            )


def read_file(
    file: Path,
    source: Path,
    losses: list[Loss],
    settings: InputSettings,
    tone: ToneMapper | None = None,
) -> Iterator[Picture]:
    """Give the image of a file, or the frames of a video; damage becomes a refusal or a loss.

    Args:
        file: an image or a video.
        source: the folder that names are relative to, or the file itself.
        losses: gets what a video lacks.
        settings: limits.
        tone: of the one camera that all files are of; None: each image stands for itself.
    """
    name = _name(file, source)
    if is_video(file):
        yield from _video(file, name, losses)
        return
    tone = tone or ToneMapper(settings.mono16)
    group = str(Path(name).parent)
    try:
        image = read_image(file, settings.maximum_pixels, tone)
    except FrameError as error:
        yield Picture(name, group, 0, None, str(error))
    else:
        yield Picture(name, group, 0, image, warning=tone.warning)


def is_video(file: Path) -> bool:
    """Say whether a file is a video by its name."""
    return file.suffix.lower() in VIDEO_SUFFIXES


def open_video(name: str) -> cv2.VideoCapture:
    """Open a video or a camera; frames come as stored, not turned as a phone says."""
    capture = cv2.VideoCapture(name)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    return capture


def _name(file: Path, source: Path) -> str:
    """Return what the outputs of a file are called, without a suffix."""
    relative = Path(file.name) if source.is_file() else file.relative_to(source)
    return str(relative.with_suffix(''))


def _video(file: Path, name: str, losses: list[Loss]) -> Iterator[Picture]:
    capture = open_video(str(file))
    expected = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    count = 0
    try:
        while capture.isOpened():
            good, frame = capture.read()
            if not good:
                break
            image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            yield Picture(f'{name}/{count:06d}', name, round(count / rate * 1e9), image)
            count += 1
    finally:
        capture.release()
    if count == 0 or count < expected - 1:  # many containers promise one frame too many
        ends = f'the video ends after {count} of {expected} frames'
        losses.append(Loss(file.name, ends if count else 'no video that can be read'))
