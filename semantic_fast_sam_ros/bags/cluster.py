"""Label recordings with many workers on Ray, to the same bytes as one process writes.

The work is cut by file and by time. A worker writes the labels of its part into a recording of
its own; whoever dies, finished parts stay. In the end the parts are joined in order. Workers on
other machines need the recordings and the output under the same paths (a shared file system).
"""

import importlib
import json
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags import summary
from semantic_fast_sam_ros.bags.cluster_plan import PARTS, Pool, Recording, Task, plan
from semantic_fast_sam_ros.bags.job import LATCHED, Job, OutputTopics, output_topics
from semantic_fast_sam_ros.bags.labeller import BagLabeller
from semantic_fast_sam_ros.bags.outcome import Outcome
from semantic_fast_sam_ros.bags.progress import Progress
from semantic_fast_sam_ros.bags.reader import BagReader, all_topics
from semantic_fast_sam_ros.bags.run import Pipeline, open_writer, space_of
from semantic_fast_sam_ros.bags.statistics import Statistics
from semantic_fast_sam_ros.bags.types import Loss
from semantic_fast_sam_ros.bags.writer import BagWriter, write_whole
from semantic_fast_sam_ros.core.base.errors import ConfigError, SemanticFastSamError
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.objects import OFF

DONE = 'done.json'  # of a part that is labelled
ATTEMPTS = 4  # of a part, before the job gives up
POLL_S = 0.5


def label_on_cluster(
    recordings: list[tuple[Path, Path]],
    config: Config,
    job: Job,
    pool: Pool,
    stop: threading.Event,
    resume: bool = False,
    progress: bool = True,
) -> list[Outcome]:
    """Label recordings into new ones; outcomes in their order.

    Raises:
        ConfigError: ray is missing, a recording, an output or an option is wrong.
        SemanticFastSamError: a part failed again and again.
    """
    _require_independent_parts(config, job)
    plans = []
    for source, folder in recordings:
        try:
            plans.append(plan(source, folder, config, job, pool, resume))
        except ConfigError as error:
            if len(recordings) == 1:
                raise
            plans.append(Recording(source, folder, {}, [], refusal=str(error)))
    tasks = [task for recording in plans for task in recording.tasks]
    started = time.monotonic()
    waiting = [task for task in tasks if not (task.folder / DONE).is_file()]
    line = Progress('cluster') if progress else None

    def show(left: int) -> None:
        if line is not None:
            line.show(len(tasks) - left, 1 - left / max(1, len(tasks)))

    if waiting:
        _run_tasks(waiting, config, pool, stop, show)
    vocabulary = None
    outcomes = []
    for recording in plans:
        outcome = Outcome(recording.folder, already_complete=recording.finished)
        outcome.refusal, outcome.notes = recording.refusal, recording.notes
        outcome.seconds = time.monotonic() - started
        outcome.interrupted = stop.is_set()
        if not (recording.finished or recording.refusal or stop.is_set()):
            vocabulary = vocabulary or _load(pool.loader)(config).vocabulary
            _join(recording, config, job, outcome)
            outcome.seconds = time.monotonic() - started
            outcome.empty = outcome.statistics.frame_count == 0
            summary.write(outcome, recording.run, vocabulary)
            if outcome.complete:
                shutil.rmtree(recording.folder / PARTS)
        outcomes.append(outcome)
    return outcomes


def _require_independent_parts(config: Config, job: Job) -> None:
    if job.depth:
        raise ConfigError(
            'boxes in space take the depth nearest to each image, which may lie in another part '
            'of the recording: label on one machine, or without --depth'
        )
    if config.labeller == 'ssa_engine':
        raise ConfigError(
            'labeller ssa_engine numbers names as it finds them, which the parts of a recording '
            'would do differently: label on one machine'
        )
    if config.tracking != OFF:
        raise ConfigError(
            'tracking follows a camera from its first image to its last, which the parts of a '
            'recording would begin anew: label on one machine, or with tracking off'
        )
    if config.clip.adapts:
        raise ConfigError(
            'with clip.adaptation names settle from image to image, which the parts of a '
            'recording would do each by itself: label on one machine, or set it to off'
        )


def load_pipeline(config: Config) -> Pipeline:
    """Load the real pipeline, warm."""
    from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

    pipeline = SemanticFastSam.for_throughput(config)
    pipeline.warm_up()
    return pipeline


class Worker:
    """Labels parts, one after the other, with models that stay loaded. Runs as a Ray actor."""

    def __init__(self, config: Config, loader: str) -> None:
        """Load the models."""
        self._config = config
        self._pipeline = _load(loader)(config)

    def label(self, task: Task) -> str:
        """Label a part and write what is to be known of it; return an error's text or ''."""
        try:
            _label_part(task, self._config, self._pipeline)
        except (SemanticFastSamError, OSError) as error:
            return f'{type(error).__name__}: {error}'
        return ''


def _label_part(task: Task, config: Config, pipeline: Pipeline) -> None:
    # Another worker may have begun it and died; or be slow and still at it.
    folder = task.folder.with_name(f'{task.folder.name}.{os.getpid()}.{time.time_ns()}')
    reader, statistics = BagReader(task.source), Statistics()
    cameras = list(task.cameras)
    topics = output_topics(cameras, task.job, config.output)
    space = space_of(config, task.job, pipeline)
    labeller = BagLabeller(reader, cameras, topics, task.job, config, statistics, space=space)
    writer = BagWriter(folder, 'mcap', task.job.compression)
    try:
        labeller.run(pipeline, writer, threading.Event(), part=task.part)
    finally:
        writer.close()
    told = {
        'read': labeller.read_count,
        'refused': statistics.refused,
        'refusals': statistics.refusals,
        'masks': statistics.masks,
        'timed_frames': statistics.timed_frames,
        'stage_ms': statistics.stage_ms,
        'notes': reader.notes,
        'losses': [[loss.file, loss.reason, loss.messages] for loss in reader.losses],
    }
    write_whole(folder / DONE, json.dumps(told))
    try:
        folder.rename(task.folder)
    except OSError:
        if not (task.folder / DONE).is_file():
            raise
        shutil.rmtree(folder, ignore_errors=True)  # somebody else was quicker


def _run_tasks(
    tasks: list[Task],
    config: Config,
    pool: Pool,
    stop: threading.Event,
    show: Callable[[int], None],
) -> None:
    """Give tasks to workers until all are done; a task whose worker dies goes to another."""
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # read at import: nothing phones home
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ConfigError(
            '--cluster needs ray: pip install -r requirements/cluster.txt'
        ) from error
    started_here = not ray.is_initialized()
    if started_here:
        ray.init(
            address=pool.address or None,
            runtime_env={'env_vars': {'PYTHONPATH': _python_path()}},
            log_to_driver=False,
            logging_level='warning',
            include_dashboard=False if not pool.address else None,
        )
    try:
        _Schedule(ray, config, pool, len(tasks)).run(tasks, stop, show)
    finally:
        if started_here:
            ray.shutdown()


class _Schedule:
    """The pool of Ray actors and what each is at."""

    def __init__(self, ray: Any, config: Config, pool: Pool, tasks: int) -> None:
        self._ray = ray
        options = {'num_cpus': pool.cpus, 'num_gpus': pool.gpus, 'max_restarts': 0}
        self._actor = ray.remote(Worker).options(**options)
        self._arguments = (config, pool.loader)
        self._count = min(tasks, pool.workers or self._fitting(pool))
        self._attempts: dict[Task, int] = {}
        self._reasons: dict[Task, str] = {}

    def run(self, tasks: list[Task], stop: threading.Event, show: Callable[[int], None]) -> None:
        """Work until the tasks are done or `stop` is set."""
        waiting = deque(tasks)
        idle = [self._actor.remote(*self._arguments) for _ in range(self._count)]
        running: dict[Any, tuple[Any, Task]] = {}
        while (waiting or running) and not stop.is_set():
            while waiting and idle:
                actor, task = idle.pop(), waiting.popleft()
                running[actor.label.remote(task)] = (actor, task)
            ready, _ = self._ray.wait(list(running), num_returns=1, timeout=POLL_S)
            for reference in ready:
                actor, task = running.pop(reference)
                reason, alive = self._result(reference)
                idle.append(actor if alive else self._actor.remote(*self._arguments))
                if reason:
                    self._again(task, reason)
                    waiting.append(task)
            show(len(waiting) + len(running))

    def _fitting(self, pool: Pool) -> int:
        there = self._ray.cluster_resources()
        if pool.gpus:
            return max(1, int(there.get('GPU', 0) / pool.gpus))
        return max(1, int(there.get('CPU', 1) / max(pool.cpus, 0.01)))

    def _result(self, reference: Any) -> tuple[str, bool]:
        """Return why a task failed, or '', and whether its worker lives."""
        try:
            return str(self._ray.get(reference)), True
        except self._ray.exceptions.RayActorError as error:
            cause = str(error).strip().splitlines()
            return f'a worker died: {cause[0] if cause else error!r}', False
        except self._ray.exceptions.RayError as error:
            return str(error).strip().splitlines()[-1], True

    def _again(self, task: Task, reason: str) -> None:
        self._attempts[task] = self._attempts.get(task, 0) + 1
        if self._attempts[task] >= ATTEMPTS:
            raise SemanticFastSamError(
                f'{task.source}, part {task.folder.name}: failed {ATTEMPTS} times, at last: '
                f'{reason}; what is finished stays, --resume goes on'
            )


def _join(recording: Recording, config: Config, job: Job, outcome: Outcome) -> None:
    """Write the parts into one recording, in order, as one process would have."""
    topics: OutputTopics = output_topics(recording.cameras, job, config.output)
    reader = BagReader(recording.source)
    statistics = outcome.statistics
    labeller = BagLabeller(reader, recording.cameras, topics, job, config, statistics)
    latched = {outputs[name].name for outputs in topics.values() for name in LATCHED}
    for old in recording.folder.glob('*_0.*'):
        old.unlink()
    writer = open_writer(recording.folder, job, recording.run)
    before = 0
    try:
        for task in recording.tasks:
            told = json.loads((task.folder / DONE).read_text(encoding='utf-8'))
            _add(statistics, told, outcome)
            last = None
            for message in BagReader(task.folder).messages(all_topics):
                name = message.topic.name
                if name in latched and name in labeller.announced_topics():
                    continue  # each part begins with them
                if last is not None and message.sequence != last:
                    writer.end_of_frame()
                last = message.sequence
                writer.write(message, before + message.sequence)
                labeller.replay(message)
            writer.end_of_frame()
            before += told['read']
    except OSError as error:
        outcome.problem = f'cannot write: {error}'
    try:
        writer.close()
    except OSError as error:
        outcome.problem = outcome.problem or f'cannot write: {error}'


def _add(statistics: Statistics, told: dict[str, Any], outcome: Outcome) -> None:
    for topic, count in told['refused'].items():
        statistics.refused[topic] = statistics.refused.get(topic, 0) + count
        statistics.refusals.setdefault(topic, told['refusals'][topic])
    for stage, total in told['stage_ms'].items():
        statistics.stage_ms[stage] = statistics.stage_ms.get(stage, 0.0) + total
    statistics.masks += told['masks']
    statistics.timed_frames += told['timed_frames']
    outcome.notes += [note for note in told['notes'] if note not in outcome.notes]
    losses = [Loss(*values) for values in told['losses']]
    outcome.losses += [loss for loss in losses if loss not in outcome.losses]


def _load(loader: str) -> Callable[[Config], Pipeline]:
    module, _, function = loader.partition(':')
    loaded: Callable[[Config], Pipeline] = getattr(importlib.import_module(module), function)
    return loaded


def _python_path() -> str:
    """Return where workers find this package, before what they have anyway."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [here, os.environ.get('PYTHONPATH', '')]))
