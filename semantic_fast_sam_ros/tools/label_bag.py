"""Label every frame of rosbag2 recordings into new ones, without ROS."""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags.job import CHOICES, DEFAULT_OUTPUTS, NODE, OF_DEPTH, Job
from semantic_fast_sam_ros.bags.outcome import INCOMPLETE_INPUT, Outcome
from semantic_fast_sam_ros.bags.recording_files import (
    is_bag,
    recording_path,
    recordings_below,
    stem,
)
from semantic_fast_sam_ros.bags.run import label_recording
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.tools.pipeline_options import (
    add_pipeline_arguments,
    offline_config_from,
)

EPILOGUE = """
The output is a rosbag2 with the live node's topics, stamps and frame_ids, and beside it
summary.html and summary.json. Exit code: 0 all labelled; 1 an error, nothing was labelled, or the
disk is full (the output is closed and readable); 3 labelled, but part of the input could not be
read, or some of several recordings; 130 Ctrl-C (likewise readable; --resume goes on).
"""
FAILED, INTERRUPTED = 1, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOGUE
    parser.add_argument(
        'input', nargs='+', type=Path, help='rosbag2 folder or file, or a folder of them'
    )
    parser.add_argument('output', type=Path, help='folder to create (of several: one in it each)')
    parser.add_argument(
        '--outputs',
        help=f'what to write, by comma, of: {", ".join(CHOICES)} '
        f'(default: {",".join(DEFAULT_OUTPUTS)}; with --depth {",".join(OF_DEPTH)}, too)',
    )
    parser.add_argument('--topics', nargs='+', default=[], help='image topics (default: all)')
    parser.add_argument(
        '--depth',
        nargs='+',
        default=[],
        metavar='TOPIC',
        help='depth images (with camera_info beside them) or organised clouds, registered to the '
        'camera, of which boxes in space are made: one a camera, in the order of --topics',
    )
    parser.add_argument('--every', type=int, default=1, help='label each so-many-th image')
    parser.add_argument(
        '--start', type=float, default=0.0, help='seconds to skip at the beginning'
    )
    parser.add_argument('--duration', type=float, help='seconds to label')
    parser.add_argument(
        '--copy', nargs='*', metavar='TOPIC', help='copy other topics (names, patterns; none: all)'
    )
    parser.add_argument('--node', default=NODE, help=f'prefix of the topics (default: {NODE})')
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap')
    parser.add_argument('--compression', choices=('zstd', 'lz4', 'none'), default='zstd')
    parser.add_argument('--resume', action='store_true', help='go on with a run that ended early')
    parser.add_argument('--quiet', action='store_true', help='no progress line')
    _add_cluster_arguments(parser)
    add_pipeline_arguments(parser)


def _add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('many workers (needs ray: requirements/cluster.txt)')
    group.add_argument('--cluster', action='store_true', help='share the work out with Ray')
    group.add_argument(
        '--address', default='', help='Ray cluster to join (default: start one here)'
    )
    group.add_argument('--workers', type=int, default=0, help='pipelines (default: what fits)')
    group.add_argument('--cpus', type=float, default=1.0, help='CPUs a worker (default: 1)')
    group.add_argument('--gpus', type=float, default=0.0, help='GPUs a worker (default: 0)')
    group.add_argument('--slice', type=float, default=60.0, help='seconds a task (default: 60)')


def run(arguments: argparse.Namespace) -> int:
    """Label one recording after the other, or many at once; return the exit code."""
    config, job = offline_config_from(arguments, tracks=True), job_from(arguments)
    recordings = find_recordings(arguments.input, arguments.output)
    if arguments.cluster:
        return _run_cluster(arguments, config, job, recordings)
    loaded: list[SemanticFastSam] = []

    def load(settings: Config) -> SemanticFastSam:
        if not loaded:
            loaded.append(SemanticFastSam.for_throughput(settings))
            loaded[0].warm_up()
        return loaded[0]

    outcomes = []
    with stop_on_signals() as stop:
        for source, folder in recordings:
            try:
                outcome = label_recording(
                    source, folder, config, job, load, stop, arguments.resume, not arguments.quiet
                )
            except ConfigError as error:
                if len(recordings) == 1:
                    raise
                outcome = Outcome(folder, refusal=str(error))
            outcomes.append(outcome)
            report(source, outcome)
            if stop.is_set():
                break
    return exit_code(outcomes)


def _run_cluster(
    arguments: argparse.Namespace, config: Config, job: Job, recordings: list[tuple[Path, Path]]
) -> int:
    from semantic_fast_sam_ros.bags.cluster import label_on_cluster
    from semantic_fast_sam_ros.bags.cluster_plan import Pool

    pool = Pool(
        address=arguments.address,
        workers=arguments.workers,
        cpus=arguments.cpus,
        gpus=arguments.gpus,
        slice_s=arguments.slice,
    )
    with stop_on_signals() as stop:
        outcomes = label_on_cluster(
            recordings, config, job, pool, stop, arguments.resume, not arguments.quiet
        )
    for (source, _), outcome in zip(recordings, outcomes, strict=True):
        report(source, outcome)
    return exit_code(outcomes)


def job_from(arguments: argparse.Namespace) -> Job:
    """Return what the options ask for."""
    copy, depth = arguments.copy, tuple(arguments.depth)
    outputs = (*DEFAULT_OUTPUTS, *(OF_DEPTH if depth else ()))
    if arguments.outputs is not None:
        outputs = tuple(name.strip() for name in arguments.outputs.split(',') if name.strip())
    return Job(
        outputs=outputs,
        topics=tuple(arguments.topics),
        depth=depth,
        every=arguments.every,
        start_s=arguments.start,
        duration_s=arguments.duration,
        copy=() if copy is None else tuple(copy) or ('*',),
        node='/' + arguments.node.strip('/'),
        storage=arguments.storage,
        compression='' if arguments.compression == 'none' else arguments.compression,
    )


def find_recordings(inputs: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """Return the recordings and where the labels of each go.

    Raises:
        ConfigError: there is none, or two have the same name.
    """
    inputs = [recording_path(path) for path in inputs]
    if len(inputs) == 1 and is_bag(inputs[0]):
        return [(inputs[0], output)]
    found: list[Path] = []
    names: list[str] = []
    for path in inputs:
        if not path.exists():
            raise ConfigError(f'there is no recording {path}')
        inside, told = ([path], []) if is_bag(path) else recordings_below(path, output)
        if not inside:
            raise ConfigError('; '.join([f'{path} is no rosbag2, and no folder of them', *told]))
        for line in told:
            print(f'note: {line}', file=sys.stderr)
        found += inside
        names += [_name(recording, path) for recording in inside]
    doubled = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if doubled is not None:
        raise ConfigError(f'two recordings are named {doubled!r}: label them one by one')
    return [(path, output / name) for path, name in zip(found, names, strict=True)]


def _name(recording: Path, top: Path) -> str:
    """Return what the labels of a recording are called, below the folder that was given."""
    name = stem(recording) if recording.is_file() else recording.name
    folder = recording.relative_to(top).parent if recording != top else Path()
    return str(folder / name)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set; a second one ends the work at once."""
    stop = threading.Event()

    def asked(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {n: signal.signal(n, asked) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report(source: Path, outcome: Outcome) -> int:
    """Print how a run went; return its exit code."""
    if outcome.already_complete:
        print(f'{source}: already labelled in {outcome.folder}')
    elif outcome.refusal:
        print(f'{source}: not labelled: {outcome.refusal}', file=sys.stderr)
    else:
        _report_run(source, outcome)
    return exit_code([outcome])


def _report_run(source: Path, outcome: Outcome) -> None:
    statistics = outcome.statistics
    fresh = statistics.frame_count - outcome.frames_before
    rate = fresh / outcome.seconds if outcome.seconds else 0.0
    before = f' after {outcome.frames_before} before' if outcome.frames_before else ''
    print(
        f'{source}: {fresh} frames labelled{before} in {outcome.seconds:.1f} s '
        f'({rate:.1f} frames/s) -> {outcome.folder}'
    )
    lines = [f'note: {note}' for note in outcome.notes]
    lines += [
        f'{count} images{_of(topic)} refused; first: {statistics.refusals[topic]}'
        for topic, count in statistics.refused.items()
    ]
    lines += [
        f'{count} images{_of(topic)}: {statistics.warnings[topic]}'
        for topic, count in statistics.warned.items()
    ]
    lines += [
        f'{count} images{_of(topic)} without boxes in space; first: '
        f'{statistics.unboxed_reasons[topic]}'
        for topic, count in statistics.unboxed.items()
    ]
    lines += [f'not read: {loss}' for loss in outcome.losses]
    if outcome.problem:
        lines.append(f'{outcome.problem}; --resume goes on')
    elif outcome.interrupted:
        lines.append('interrupted; --resume goes on')
    elif outcome.empty:
        lines.append('nothing was labelled: no image in this part of the recording can be read')
    for line in lines:
        print(f'  {line}', file=sys.stderr)


def _of(group: str) -> str:
    return '' if group == '.' else f' of {group}'  # '.' is the folder itself


def exit_code(outcomes: list[Outcome]) -> int:
    """Return the exit code of runs: a recording that fails among others makes it incomplete."""
    without = [outcome for outcome in outcomes if outcome.refusal or outcome.empty]
    if any(outcome.problem for outcome in outcomes):
        return FAILED
    if any(outcome.interrupted for outcome in outcomes):
        return INTERRUPTED
    if len(without) == len(outcomes):
        return FAILED
    lost = any(outcome.losses or outcome.statistics.refused for outcome in outcomes)
    return INCOMPLETE_INPUT if without or lost else 0
