"""Record the node's outputs into a rosbag2, on machines without `ros2 bag`."""

import argparse
import contextlib
import importlib
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from semantic_fast_sam_ros.bags.job import DEFAULT_OUTPUTS, LABEL_INFO, LATCHED, NODE
from semantic_fast_sam_ros.bags.messages import (
    BOXES,
    DETECTIONS,
    IMAGE,
    INFO,
    OUTPUT_TYPES,
    POINTS,
    qos_text,
    topic_of,
)
from semantic_fast_sam_ros.bags.types import Message, Topic
from semantic_fast_sam_ros.bags.writer import BagWriter
from semantic_fast_sam_ros.core.base.errors import ConfigError, SemanticFastSamError
from semantic_fast_sam_ros.core.base.folders import resource_folder, use_shared_memory

QUEUE_MESSAGES = 200
CLOSE_S = 30.0
SHIPPED_QOS = 'rosbag2/qos_overrides.yaml'
# What label_bag writes, and what only the node has.
TOPICS = OUTPUT_TYPES | {
    'camera_info': INFO,
    'points': POINTS,
    'query/detections': DETECTIONS,
    'query/detections_3d': BOXES,
    'query/heat': IMAGE,
    'query/remembered': DETECTIONS,
}
DEFAULT = (*DEFAULT_OUTPUTS, 'packed_instances', 'camera_info')
POLICIES = {
    'reliability': ('reliable', 'best_effort'),
    'durability': ('volatile', 'transient_local'),
}
Overrides = dict[str, dict[str, Any]]  # topic -> policy -> value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument('output', type=Path, help='folder to create')
    parser.add_argument('--node', default=NODE, help=f'node to record (default: {NODE})')
    parser.add_argument(
        '--outputs',
        default=','.join(DEFAULT),
        help=f'by comma, of: {", ".join(TOPICS)} (default: {",".join(DEFAULT)})',
    )
    parser.add_argument(
        '--qos',
        type=Path,
        default=resource_folder('config') / SHIPPED_QOS,
        help=f'QoS a topic, as `ros2 bag record` takes it (default: config/{SHIPPED_QOS})',
    )
    parser.add_argument('--seconds', type=float, help='how long (default: until Ctrl-C)')


def run(arguments: argparse.Namespace) -> int:
    """Record until SIGINT, SIGTERM, or the time is over."""
    names = _checked(arguments)
    overrides = read_overrides(arguments.qos)
    use_shared_memory()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # launch sends what the terminal sent, again
        signal.signal(number, lambda *_: stop.set())
    end = time.monotonic() + (arguments.seconds or float('inf'))
    with _recorder(f'/{arguments.node.strip("/")}', names, overrides) as recorder:
        writing = Writing(BagWriter(arguments.output), recorder.received)
        while not stop.is_set() and time.monotonic() < end and writing.is_alive():
            recorder.spin()
        recorder.drain()
        problem = writing.close()
    print(f'{writing.count} messages -> {arguments.output}')
    if problem:
        raise SemanticFastSamError(f'cannot write: {problem}; what is written can be read')
    if not writing.count:
        raise SemanticFastSamError(f'nothing was recorded: {recorder.silence()}')
    return 0


def _checked(arguments: argparse.Namespace) -> list[str]:
    """Return the topics to record, below the node's name."""
    if arguments.output.exists():
        raise ConfigError(f'{arguments.output} exists: choose another output')
    names = [LABEL_INFO, *(n.strip() for n in arguments.outputs.split(',') if n.strip())]
    unknown = [name for name in names if name not in TOPICS]
    if unknown:
        raise ConfigError(f'unknown output {unknown[0]!r} (known: {", ".join(TOPICS)})')
    return names


def read_overrides(path: Path) -> Overrides:
    """Read a file of QoS overrides: topic -> history, depth, reliability, durability.

    Raises:
        ConfigError: there is no such file, or it says something else.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
    except OSError as error:
        raise ConfigError(f'--qos: cannot read {path}: {error.strerror}') from error
    except yaml.YAMLError as error:
        raise ConfigError(f'--qos: {path} is not YAML: {error}') from error
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise ConfigError(f'--qos: {path} must map topics to policies')
    for topic, policies in found.items():
        for name, known in POLICIES.items():
            if policies.get(name, known[0]) not in known:
                raise ConfigError(
                    f'--qos: {name} of {topic} must be one of {", ".join(known)}, '
                    f'not {policies[name]!r}'
                )
        depth = policies.get('depth', 1)
        if not isinstance(depth, int) or depth < 1:
            raise ConfigError(f'--qos: depth of {topic} must be a positive number, not {depth!r}')
    return found


class Recorder:
    """The node that subscribes, to each topic as soon as somebody publishes it."""

    def __init__(self, target: str, names: list[str], overrides: Overrides) -> None:
        """Create the node; rclpy is initialised."""
        from rclpy.node import Node

        self.node = Node('label_recorder')
        self.received: queue.Queue[Message | None] = queue.Queue(QUEUE_MESSAGES)
        self._overrides = overrides
        self._taken = 0
        self._missing = {f'{target}/{name}': name for name in names}

    def spin(self) -> None:
        """Look for publishers of what is still missing, and take in what arrives."""
        import rclpy

        for topic in list(self._missing):
            if offers := self.node.get_publishers_info_by_topic(topic):
                self._subscribe(topic, self._missing.pop(topic), offers)
        rclpy.spin_once(self.node, timeout_sec=0.1)

    def drain(self) -> None:
        """Take in what has arrived already, for a second at most."""
        import rclpy

        deadline, before = time.monotonic() + 1.0, -1
        while before != self._taken and time.monotonic() < deadline:
            before = self._taken
            rclpy.spin_once(self.node, timeout_sec=0.1)

    def silence(self) -> str:
        """Return why nothing may have come."""
        if self._missing:
            return f'nobody publishes {", ".join(self._missing)}: is the node active (--node)?'
        return 'no image was labelled: `doctor --node` says why'

    def _subscribe(self, topic: str, name: str, offers: list[Any]) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        latched = {'durability': 'transient_local', 'depth': 1} if name in LATCHED else {}
        wanted: dict[str, Any] = {
            'reliability': 'reliable',
            'durability': 'volatile',
            'depth': 50,
        }
        wanted |= latched | self._overrides.get(topic, {})
        # Who asks a best-effort publisher for more hears nothing at all.
        if any(o.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for o in offers):
            wanted['reliability'] = 'best_effort'
        profile = QoSProfile(depth=wanted['depth'])
        profile.reliability = ReliabilityPolicy[wanted['reliability'].upper()]
        profile.durability = DurabilityPolicy[wanted['durability'].upper()]
        qos = qos_text(wanted['reliability'], wanted['durability'], wanted['depth'])
        recorded: Topic = topic_of(topic, TOPICS[name], qos)

        def receive(data: bytes) -> None:
            self._taken += 1
            with contextlib.suppress(queue.Full):  # the writer has ended: its error is on the way
                self.received.put(Message(recorded, time.time_ns(), data), timeout=1.0)

        package, _, kind = TOPICS[name].split('/')
        message_type = getattr(importlib.import_module(f'{package}.msg'), kind)
        self.node.create_subscription(message_type, topic, receive, profile, raw=True)


@contextlib.contextmanager
def _recorder(target: str, names: list[str], overrides: Overrides) -> Iterator['Recorder']:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from semantic_fast_sam_ros.ros.shutdown import shut_down

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    recorder = Recorder(target, names, overrides)
    try:
        yield recorder
    finally:
        recorder.node.destroy_node()
        shut_down()


class Writing(threading.Thread):
    """Writes what is received, until it is closed or the disk is full."""

    def __init__(self, writer: BagWriter, received: 'queue.Queue[Message | None]') -> None:
        """Start."""
        super().__init__(name='bag writer')
        self.count = 0
        self._writer, self._received = writer, received
        self._problem: OSError | None = None
        self.start()

    def run(self) -> None:
        """Write on a thread of its own."""
        try:
            while (message := self._received.get()) is not None:
                self._writer.write(message, self.count + 1)
                self._writer.end_of_frame()
                self.count += 1
        except OSError as error:
            self._problem = error

    def close(self) -> OSError | None:
        """Write what is left, close the recording; return what went wrong."""
        with contextlib.suppress(queue.Full):  # nobody takes it: the disk is full
            self._received.put(None, timeout=CLOSE_S)
        self.join()
        try:
            self._writer.close()
        except OSError as error:
            self._problem = self._problem or error
        return self._problem
