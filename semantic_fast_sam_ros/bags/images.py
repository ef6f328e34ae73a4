"""Label folders of images and videos into PNG and JSON files, one set a frame."""

import errno
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.bags import summary
from semantic_fast_sam_ros.bags.outcome import Outcome
from semantic_fast_sam_ros.bags.pictures import (
    Picture,
    find_files,
    read_file,
    require_unique_names,
)
from semantic_fast_sam_ros.bags.progress import Progress
from semantic_fast_sam_ros.bags.run import Pipeline
from semantic_fast_sam_ros.bags.stages import Stages
from semantic_fast_sam_ros.bags.writer import write_whole
from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs import frame_outputs, overlay
from semantic_fast_sam_ros.core.outputs.resize import resize_result
from semantic_fast_sam_ros.core.settings.config import Config, parse_size

KINDS = ('labels', 'confidence', 'instances', 'colour', 'overlay', 'json')
DEFAULT_KINDS = ('labels', 'colour', 'overlay', 'json')
Rgb = NDArray[np.uint8]


def label_pictures(
    source: Path,
    folder: Path,
    config: Config,
    kinds: tuple[str, ...],
    load: Callable[[Config], Pipeline],
    stop: threading.Event,
    run: dict[str, Any],
    every: int = 1,
    resume: bool = False,
    progress: bool = True,
) -> Outcome:
    """Label an image, a folder of images and videos, or a video.

    Args:
        source: what to label; folders are walked through with all below them.
        folder: gets a folder for each kind, with the source's own folders below.
        config: settings of the pipeline and the overlay.
        kinds: of KINDS.
        load: loads the pipeline.
        stop: ends the run after the frames under way.
        run: what the labels depend on, for the summary.
        every: label each so-many-th frame of a video, or image.
        resume: leave out frames that have their files already.
        progress: show a progress line.

    Raises:
        ConfigError: there is nothing to label, or an unknown kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f'unknown output {kind!r} (known: {", ".join(KINDS)})')
    if resume and config.labeller == 'ssa_engine':
        raise ConfigError(
            'labeller ssa_engine numbers names as it finds them, which a resumed run would do '
            'differently: label into a new folder'
        )
    outcome = Outcome(folder)
    files = find_files(source, outcome.losses, folder)
    require_unique_names(files, source)
    pipeline = load(config)
    line = Progress(source.name) if progress else None
    done = {'files': 0}

    def pictures() -> Iterator[Picture]:
        seen = 0
        for file in files:
            for picture in read_file(file, source, outcome.losses, config.input):
                seen += 1
                if (seen - 1) % every == 0 and not (resume and has_files(folder, picture, kinds)):
                    yield picture
            done['files'] += 1

    def work(picture: Picture) -> Picture:
        if picture.image is not None:
            try:
                picture.result = pipeline(picture.image)
            except FrameError as error:
                picture.refusal = str(error)
        return picture

    def refuse(picture: Picture, reason: str) -> None:
        print(f'left out: {reason}', file=sys.stderr)
        outcome.statistics.refuse(picture.group, reason)

    def write(picture: Picture) -> None:
        if picture.image is None or picture.result is None:
            refuse(picture, picture.refusal)
            return
        try:
            write_picture(folder, picture.name, picture.image, picture.result, config, kinds)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            refuse(picture, f'{picture.name}: the name is too long for its outputs')
            return
        statistics = outcome.statistics
        if picture.warning:
            statistics.warn(picture.group, picture.warning)
        statistics.add_labels(picture.group, picture.time_ns, picture.result.label_map)
        statistics.add_timing(picture.result.stage_ms, len(picture.result.mask_ids))
        if statistics.samples.due():
            drawn = overlay.overlay(picture.image, picture.result, config.output)
            statistics.samples.add(picture.time_ns, picture.name, drawn)
        if line is not None:
            line.show(statistics.frame_count, done['files'] / len(files))

    started = time.monotonic()
    try:
        workers = getattr(pipeline, 'concurrent_images', 1)
        Stages(pictures(), work, write, stop, workers).run()
    except OSError as error:
        outcome.problem = f'cannot write: {error}'
    outcome.seconds = time.monotonic() - started
    outcome.interrupted = stop.is_set()
    folder.mkdir(parents=True, exist_ok=True)
    summary.write(outcome, run, pipeline.vocabulary)
    return outcome


def has_files(folder: Path, picture: Picture, kinds: tuple[str, ...]) -> bool:
    """Say whether all files of a frame are there."""
    return all(_path(folder, kind, picture.name).is_file() for kind in kinds)


def write_picture(
    folder: Path,
    name: str,
    image: Rgb,
    result: SegmentationResult,
    config: Config,
    kinds: tuple[str, ...],
) -> None:
    """Write the files of a frame; raises OSError if the disk is full."""
    height, width = parse_size(config.output.size) or result.label_map.shape
    sized = resize_result(result, (height, width))
    if 'labels' in kinds:
        _write_png(_path(folder, 'labels', name), sized.label_map)
    if 'confidence' in kinds:
        _write_png(_path(folder, 'confidence', name), sized.confidence)
    if 'instances' in kinds:
        _write_png(_path(folder, 'instances', name), sized.instances)
    if 'colour' in kinds:
        _write_png(_path(folder, 'colour', name), overlay.colour_labels(sized)[..., ::-1])
    if 'overlay' in kinds:
        fitted = overlay.fit(image, sized.label_map.shape)
        drawn = frame_outputs.jpeg(
            overlay.overlay(fitted, sized, config.output), config.output.jpeg_quality
        )
        _write(_path(folder, 'overlay', name), drawn.data.tobytes())
    if 'json' in kinds:
        _write(_path(folder, 'json', name), json.dumps(description(sized), indent=1))


def description(result: SegmentationResult) -> dict[str, Any]:
    """Return classes, shares of the image, and masks with their ranked names."""
    counts = np.bincount(result.label_map.ravel(), minlength=result.vocabulary.max_id + 1)
    return {
        'size': [int(v) for v in result.label_map.shape[::-1]],
        'classes': [
            {'id': c.id, 'name': c.name, 'share': round(counts[c.id] / counts.sum(), 6)}
            for c in result.vocabulary.classes
        ],
        'masks': [
            {
                'id': int(item.id),
                'centre': list(item.centre),
                'size': list(item.size),
                'names': [{'name': name, 'score': round(s, 6)} for name, s in item.hypotheses],
            }
            for item in frame_outputs.detections(result)
        ],
    }


def _path(folder: Path, kind: str, name: str) -> Path:
    suffix = {'overlay': '.jpg', 'json': '.json'}.get(kind, '.png')
    return folder / kind / f'{name}{suffix}'


def _write_png(path: Path, pixels: NDArray[Any]) -> None:
    _write(path, cv2.imencode('.png', pixels)[1].tobytes())


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
