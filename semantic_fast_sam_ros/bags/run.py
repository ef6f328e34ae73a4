"""One run over one recording: begin or resume, label, close, sum up."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.bags import provenance, summary
from semantic_fast_sam_ros.bags.cameras import choose_cameras
from semantic_fast_sam_ros.bags.depth import depth_topics
from semantic_fast_sam_ros.bags.job import OF_LABELS, Job, output_topics
from semantic_fast_sam_ros.bags.labeller import BagLabeller
from semantic_fast_sam_ros.bags.outcome import Outcome
from semantic_fast_sam_ros.bags.progress import Progress
from semantic_fast_sam_ros.bags.reader import BagReader
from semantic_fast_sam_ros.bags.statistics import Statistics
from semantic_fast_sam_ros.bags.tracking import RecordingTracks, require_resumable
from semantic_fast_sam_ros.bags.writer import BagWriter
from semantic_fast_sam_ros.core.base.errors import ConfigError, reason_of
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.feature_space import feature_space, lacking_vectors
from semantic_fast_sam_ros.core.open_vocabulary.interface import MaskEncoder
from semantic_fast_sam_ros.core.outputs.frame_outputs import FEATURES
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.objects import OFF
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary


class Pipeline(Protocol):
    """What labels an image; SemanticFastSam is one."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The names of the labels."""
        ...

    def __call__(self, image: NDArray[np.uint8]) -> SegmentationResult:
        """Label an RGB image."""
        ...


@runtime_checkable
class FindsNames(Protocol):
    """A pipeline that may publish names of its own finding."""

    def remember(self, names: Mapping[int, str]) -> None:
        """Keep the ids that an earlier run gave to names."""
        ...


def label_recording(
    source: Path,
    folder: Path,
    config: Config,
    job: Job,
    load: Callable[[Config], Pipeline],
    stop: threading.Event,
    resume: bool = False,
    progress: bool = True,
) -> Outcome:
    """Label a recording into a new one.

    Args:
        source: a rosbag2, folder or file.
        folder: of the output; must be new or empty, unless a run is resumed.
        config: settings of the pipeline.
        job: what is to be labelled.
        load: loads the pipeline; called only when there is something to label.
        stop: ends the run after the frames under way.
        resume: go on with a run that ended early.
        progress: show a progress line.

    Raises:
        ConfigError: the recording, the output or an option is wrong.
        ModelError: a model cannot be loaded.
    """
    reader = BagReader(source)
    cameras = choose_cameras(reader, job.topics, config.input, job.depth)
    depth = depth_topics(reader, cameras, job.depth) if job.depth else None
    if depth and config.objects.frame:
        raise ConfigError(
            f'objects.frame {config.objects.frame!r} is for the node: in recordings, boxes are in '
            "the camera's optical frame, which /tf of the recording puts into others"
        )
    run = provenance.describe(source, cameras, job, config)
    going_on = prepare_folder(folder, run, resume)
    if going_on and summary.is_complete(folder):
        return Outcome(folder, already_complete=True)
    if going_on:
        require_resumable(config, job)
    pipeline = load(config)
    space = space_of(config, job, pipeline)
    outcome = Outcome(folder)
    topics = output_topics(cameras, job, config.output)
    tracks = None
    if config.tracking != OFF:
        tracks = RecordingTracks(cameras, config, pipeline.vocabulary)
    labeller = BagLabeller(
        reader, cameras, topics, job, config, outcome.statistics, tracks, depth, space
    )
    try:
        writer = open_writer(folder, job, run)
    except OSError as error:
        raise ConfigError(f'cannot write to {folder}: {reason_of(error)}') from error
    started = time.monotonic()
    try:
        done = writer.recover(labeller.replay) if going_on else 0
        outcome.frames_before = outcome.statistics.frame_count
        if done and isinstance(pipeline, FindsNames):
            pipeline.remember(labeller.names())
        show = _progress(source.name, reader, job) if progress else None
        labeller.run(pipeline, writer, stop, done, progress=show)
    except OSError as error:
        outcome.problem = f'cannot write: {error}'
    finally:
        _close(writer, outcome)
    counted = next((name for name in job.outputs if name in OF_LABELS), None)
    if outcome.problem and counted:  # frames that found no room were counted
        counts = {topic.name: n for topic, n in writer.storage.topic_counts.items()}
        for camera in outcome.statistics.frames:
            written = counts.get(topics[camera][counted].name, 0)
            outcome.statistics.frames[camera] = written
    outcome.seconds = time.monotonic() - started
    outcome.interrupted = stop.is_set()
    outcome.losses, outcome.notes = reader.losses, reader.notes
    outcome.empty = outcome.statistics.frame_count == 0
    summary.write(outcome, run, pipeline.vocabulary)
    return outcome


def space_of(config: Config, job: Job, pipeline: Pipeline) -> str:
    """Return what the vectors of masks are of; '' where they are no output.

    Raises:
        ConfigError: the labeller has none.
    """
    if FEATURES not in job.outputs:
        return ''
    encoder: MaskEncoder | None = getattr(pipeline, 'encoder', None)
    if encoder is None:
        raise ConfigError(f'output {FEATURES}: {lacking_vectors(config.labeller)}')
    return feature_space(config, encoder.model)


def prepare_folder(folder: Path, run: dict[str, Any], resume: bool) -> bool:
    """Check that a folder may be written to; return whether it holds a run to go on with.

    Raises:
        ConfigError: it holds something else, or a run with other settings.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f'{folder} is a file: the output is a folder')
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not resume:
        raise ConfigError(f'{folder} exists: choose another output, or go on with it by --resume')
    provenance.check_same(folder, run)
    return True


def open_writer(folder: Path, job: Job, run: dict[str, Any]) -> BagWriter:
    """Create the output, or open the one that is there, and note what it is made from."""
    folder.mkdir(parents=True, exist_ok=True)
    provenance.write(folder, run)
    return BagWriter(folder, job.storage, job.compression)


def _close(writer: BagWriter, outcome: Outcome) -> None:
    try:
        writer.close()
    except OSError as error:
        outcome.problem = outcome.problem or f'cannot write: {error}'


def _progress(name: str, reader: BagReader, job: Job) -> Callable[[Statistics, int], None]:
    line = Progress(name)
    first, last = job.window_ns(reader.start_ns)
    first, last = max(first, reader.start_ns), min(last, reader.end_ns)

    def show(statistics: Statistics, time_ns: int) -> None:
        share = (time_ns - first) / max(1, last - first)
        line.show(statistics.frame_count, min(1.0, max(0.0, share)))

    return show
