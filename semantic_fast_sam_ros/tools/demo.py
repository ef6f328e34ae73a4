"""Run image source and node as two processes, watch them over DDS, write a report page."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.base.folders import PACKAGE, use_shared_memory
from semantic_fast_sam_ros.core.base.signals import interrupt_once
from semantic_fast_sam_ros.core.settings import profiles, vocabulary_files
from semantic_fast_sam_ros.tools.demo_place import FOLDER, own_folder, own_namespace

TOPIC = 'semantic_fast_sam_demo/image'  # in the demo's namespace
START_LIMIT_S = 300.0  # a slow disk and a download of models lie within
END_LIMIT_S = 20.0
LAST_IMAGES_S = 2.0  # before the node misses its camera: input.timeout_s
DEFAULT_SECONDS = 30.0
STATUS_PERIOD_S, LOGGED_STATUS_PERIOD_S = 0.5, 10.0  # on a terminal; in a file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        '--seconds', type=float, help='how long (default: 30; with --web until Ctrl-C)'
    )
    parser.add_argument('--forever', action='store_true', help='until Ctrl-C')
    parser.add_argument(
        '--web', action='store_true', help='show it in a browser of this machine, too'
    )
    parser.add_argument(
        '--source',
        default='',
        help='image or video or folder of them, /dev/videoN, rosbag2 folder or .mcap '
        '(default: a street photo under a virtual camera)',
    )
    parser.add_argument('--rate', type=float, default=15.0, help='images a second (default: 15)')
    parser.add_argument('--profile', default='embedded', help='profile (default: embedded)')
    parser.add_argument(
        '--vocabulary', default='', help="names to publish instead of the profile's"
    )
    parser.add_argument('--device', default='', help="cpu, cuda:0, ... instead of the profile's")
    parser.add_argument(
        '--output',
        type=Path,
        help=f'folder (default: {FOLDER}; {FOLDER}_2, ... while other demos write there)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0 if frames were labelled."""
    try:
        return _demonstrate(arguments)
    except KeyboardInterrupt:  # later ones are taken below, where there may be something to report
        print('\nInterrupted before the node was started.')
        return 1


def _demonstrate(arguments: argparse.Namespace) -> int:
    from semantic_fast_sam_ros.tools.demo_observer import DemoObserver
    from semantic_fast_sam_ros.tools.demo_report import write_report
    from semantic_fast_sam_ros.tools.sources import open_source

    overrides = {
        name: value for name in ('vocabulary', 'device') if (value := getattr(arguments, name))
    }
    config = profiles.load_profile(arguments.profile, overrides)  # fails early, and clearly
    vocabulary_files.requested(config)
    next(open_source(arguments.source))
    _use_own_network()
    interrupt_once()
    print(f'Starting the node (profile {arguments.profile}) ...', flush=True)
    with (
        own_folder(arguments.output) as output,
        tempfile.TemporaryDirectory() as folder,
        DemoObserver() as observer,
        own_namespace(observer.taken) as namespace,
    ):
        if namespace:
            _tell_namespace(arguments.profile, namespace, output)
        observer.watch(namespace)
        counted = Path(folder) / 'count.json'
        # The camera publishes when the node subscribes; it starts up while the node does.
        with (
            _process(_node_command(arguments, overrides, namespace)) as node,
            _process(_stream_command(arguments, counted, namespace)) as stream,
            _viewer(arguments.web, namespace),
        ):
            try:
                _wait_until_active(observer, node)
                _watch(observer, {'node': node, 'camera': stream}, _duration_s(arguments))
            except KeyboardInterrupt:
                print('\nInterrupted.')
            reached = observer.before_first_label()
            _end(stream, observer)
        published = json.loads(counted.read_text()) if counted.exists() else 0
        if not observer.labelled_frames:
            print(f'Nothing was labelled yet, so there is no report: {reached}.')
            return 1
        report = write_report(output, observer, published, config)
    print(_summary(report, output))
    return 0


def _tell_namespace(profile: str, namespace: str, output: Path) -> None:
    """Say where a demo is that runs beside another node.

    Raises:
        ConfigError: the profile is for another namespace.
    """
    profiles.read_parameter_file(profiles.profile_path(profile), f'{namespace}/{profiles.NODE}')
    print(
        f'There is another {profiles.NODE} here: the topics of this one begin with {namespace}/, '
        f'its report goes to {output}.',
        flush=True,
    )


def _duration_s(arguments: argparse.Namespace) -> float | None:
    """Return how long to watch; None is until Ctrl-C."""
    if arguments.forever or (arguments.web and arguments.seconds is None):
        return None
    return DEFAULT_SECONDS if arguments.seconds is None else float(arguments.seconds)


def _viewer(wanted: bool, namespace: str) -> AbstractContextManager[object]:
    """Serve the web viewer for the time of a block; it prints its address."""
    if not wanted:
        return nullcontext()
    command = [sys.executable, '-m', PACKAGE, 'view', '--node', f'{namespace}/{profiles.NODE}']
    return _process([*command, '--port', '0'] if namespace else command)


def _use_own_network() -> None:
    """Let the demo's processes hear each other and nobody else, with images over shared memory."""
    use_shared_memory()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


def _node_command(
    arguments: argparse.Namespace, overrides: dict[str, str], namespace: str
) -> list[str]:
    profile = profiles.profile_path(arguments.profile)
    command = [sys.executable, '-m', f'{PACKAGE}.ros.process', '--ros-args', '--log-level', 'warn']
    command += ['--params-file', str(profile), '-r', f'image:={namespace}/{TOPIC}']
    if namespace:
        command += ['-r', f'__ns:={namespace}']
    # The demo listens, but the node may learn of it seconds after the first image.
    command += ['-p', 'rest_without_subscribers:=false']
    for name, value in overrides.items():
        command += ['-p', f'{name}:={json.dumps(value)}']
    return command


def _stream_command(arguments: argparse.Namespace, counted: Path, namespace: str) -> list[str]:
    command = [sys.executable, '-m', PACKAGE, 'stream', arguments.source, '--loop', '--wait']
    command += ['--topic', f'{namespace}/{TOPIC}', '--rate', str(arguments.rate)]
    return [*command, '--count-file', str(counted)]


@contextmanager
def _process(command: list[str]) -> Iterator['subprocess.Popen[bytes]']:
    """Run a process for the time of the block; end it as Ctrl-C would, at last by force."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=END_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end(stream: 'subprocess.Popen[bytes]', observer: Any) -> None:
    """End the camera while its last images' labels are received: waiting is no latency.

    The node is stopped before it can miss the camera and say so.
    """
    stream.send_signal(signal.SIGINT)
    deadline = time.monotonic() + LAST_IMAGES_S
    while stream.poll() is None and time.monotonic() < deadline:
        observer.spin(0.05)
    if observer.state == 'active':
        observer.stop_node()
        observer.settle()


def _wait_until_active(observer: Any, node: 'subprocess.Popen[bytes]') -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while observer.state != 'active':
        observer.spin(0.1)
        if node.poll() is not None:
            raise SemanticFastSamError(f'the node ended with exit code {node.returncode}')
        if observer.problem:
            raise SemanticFastSamError(observer.problem)
        if time.monotonic() > deadline:
            raise SemanticFastSamError(f'the node was not active within {START_LIMIT_S:.0f} s')


def _watch(
    observer: Any, processes: 'dict[str, subprocess.Popen[bytes]]', seconds: float | None
) -> None:
    """Show a status line until the time is over; it counts from the first labelled image."""
    began: float | None = None
    next_status = 0.0
    while seconds is None or began is None or time.monotonic() - began < seconds:
        observer.spin(0.05)
        now = time.monotonic()
        if began is None and observer.labelled_frames:
            began = now
        for name, process in processes.items():
            if process.poll() is not None:
                raise SemanticFastSamError(f'the {name} ended with exit code {process.returncode}')
        if now >= next_status:
            next_status = now + _show(observer.status_line())
    if sys.stdout.isatty():
        print()


def _show(status: str) -> float:
    """Print the status, on a terminal over the last one; return the seconds to the next."""
    if sys.stdout.isatty():
        print(f'\r\x1b[K{status}', end='', flush=True)
        return STATUS_PERIOD_S
    print(status, flush=True)
    return LOGGED_STATUS_PERIOD_S


def _summary(report: dict[str, Any], output: Path) -> str:
    latency = report['latency_ms']
    return (
        f'{report["frames_processed"]} of {report["frames_published"]} images labelled at '
        f'{report["rate_hz"]:.1f} Hz (newest wins), latency {latency["p50"]:.0f} ms median, '
        f'{latency["p95"]:.0f} ms p95.\nSee {output / "index.html"} and {output / "report.json"}.'
    )
