"""Cut recordings into parts for many workers, by file and by the times of their messages."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags import provenance, summary
from semantic_fast_sam_ros.bags.cameras import choose_cameras
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.labeller import Part
from semantic_fast_sam_ros.bags.reader import BagReader
from semantic_fast_sam_ros.bags.run import prepare_folder
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.base.folders import PACKAGE
from semantic_fast_sam_ros.core.settings.config import Config

PARTS = '.parts'
LOADER = f'{PACKAGE}.bags.cluster:load_pipeline'


@dataclass(frozen=True)
class Pool:
    """How many workers with what, and how fine the work is cut."""

    address: str = ''  # of a Ray cluster; empty: start one on this machine
    workers: int = 0  # 0: as many as the cluster's CPUs or GPUs allow
    cpus: float = 1.0  # of each worker
    gpus: float = 0.0
    slice_s: float = 60.0  # of each part, at most
    loader: str = LOADER  # module:function that a worker loads its pipeline with

    def __post_init__(self) -> None:
        if self.slice_s <= 0 or self.cpus < 0 or self.gpus < 0 or self.workers < 0:
            raise ConfigError('--slice must be positive; --workers, --cpus, --gpus not negative')


@dataclass(frozen=True)
class Task:
    """A part of a recording for one worker."""

    source: Path
    folder: Path  # of the part's labels
    cameras: tuple[str, ...]
    part: Part
    job: Job


@dataclass
class Recording:
    """A recording with its tasks, in order."""

    source: Path
    folder: Path
    run: dict[str, Any]
    cameras: list[str]
    tasks: list[Task] = field(default_factory=list)
    finished: bool = False  # by an earlier run
    refusal: str = ''  # why it cannot be labelled
    notes: list[str] = field(default_factory=list)


def plan(
    source: Path, folder: Path, config: Config, job: Job, pool: Pool, resume: bool
) -> Recording:
    """Cut a recording into tasks by file and by the times of its messages."""
    reader = BagReader(source)
    cameras = choose_cameras(reader, job.topics, config.input)
    run = provenance.describe(source, cameras, job, config)
    recording = Recording(source, folder, run, cameras, notes=reader.notes)
    if prepare_folder(folder, run, resume) and summary.is_complete(folder):
        recording.finished = True
        return recording
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    provenance.write(folder, run)
    first, last = job.window_ns(reader.start_ns)
    width = round(pool.slice_s * 1e9)
    wanted = set(cameras)
    for number in range(len(reader.files)):
        times = reader.times(lambda topic: topic.name in wanted, number)
        begins = begins_of({t for t in times if first <= t < last}, width) or [first]
        # No frame may fall between two parts, and none before or after what a file says.
        for start, end in itertools.zip_longest(begins, begins[1:]):
            low = None if start == begins[0] else start
            place = folder / PARTS / f'{len(recording.tasks):06d}_{start}_{width}'
            part = Part(number, low, end)
            recording.tasks.append(Task(source, place, tuple(cameras), part, job))
    return recording


def begins_of(times: Iterable[int], width: int) -> list[int]:
    """Return where parts of about a width begin: at messages, so that gaps make no parts."""
    begins: list[int] = []
    for time_ns in sorted(times):
        if not begins or time_ns >= begins[-1] + width:
            begins.append(time_ns)
    return begins
