"""A camera, a node and an outside subscriber in three processes: rate, age and CPU use."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.benchmarking import scenes
from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.base.folders import PACKAGE, resource_folder

TOPIC = '/benchmark/image'
START_LIMIT_S = 100.0
SETTLE_FRAMES = 3
WARM_FRAMES = 30  # after them a node's memory grows no more
DDS_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'


@dataclass(frozen=True)
class Node:
    """A node that takes images and publishes something stamped."""

    command: tuple[str, ...]
    topic: str  # of its output
    kind: Any  # message type of the output


@dataclass
class Watched:
    """What a subscriber saw of a node."""

    ages_ms: list[float] = field(default_factory=list)  # from the stamp to the arrival
    arrivals_s: list[float] = field(default_factory=list)
    diagnostics: dict[str, str] = field(default_factory=dict)
    cpu_percent: float = 0.0  # of one core, while it was watched

    @property
    def rate_hz(self) -> float:
        """Arrivals a second, from first to last."""
        many = len(self.arrivals_s) > 1
        span = self.arrivals_s[-1] - self.arrivals_s[0] if many else 0.0
        return (len(self.arrivals_s) - 1) / span if span else 0.0


def ours(
    settings: dict[str, object], topic: str = 'label_image', profile: str = 'embedded'
) -> Node:
    """Return this package's node with settings over those of a shipped profile."""
    file = resource_folder('config') / f'{profile}.yaml'
    command = [sys.executable, '-m', f'{PACKAGE}.ros.process', '--ros-args', '--log-level', 'warn']
    command += ['--params-file', str(file), '-r', f'image:={TOPIC}']
    for name, value in settings.items():
        command += ['-p', f'{name}:={str(value).lower() if isinstance(value, bool) else value}']
    return Node(tuple(command), f'/semantic_fast_sam/{topic}', Image)


def watch(node: Node, size: tuple[int, int], rate_hz: float, seconds: float) -> Watched:
    """Feed a node with photos at (height, width) and watch its output for some time.

    Raises:
        SemanticFastSamError: nothing arrived, or the node ended.
    """
    os.environ.setdefault(
        DDS_PROFILE, str(resource_folder('config') / 'fastdds_shared_memory.xml')
    )
    watched = Watched()
    camera = (sys.executable, __file__, f'{size[1]}x{size[0]}', str(rate_hz))
    with _subscriber(node, watched) as spin, _process(node.command) as process, _process(camera):
        _spin_until(spin, process, lambda: len(watched.ages_ms) >= SETTLE_FRAMES, START_LIMIT_S)
        watched.ages_ms.clear()
        watched.arrivals_s.clear()
        used = psutil.Process(process.pid)
        before, began = used.cpu_times(), time.monotonic()
        _spin_until(spin, process, lambda: time.monotonic() > began + seconds, 2 * seconds)
        after, span = used.cpu_times(), time.monotonic() - began
        spent = after.user + after.system - before.user - before.system
        watched.cpu_percent = 100 * spent / span
        spin(1.2)  # one more round of diagnostics
    return watched


def start(node: Node, size: tuple[int, int], rate_hz: float) -> tuple[float, int]:
    """Start a node beside a camera that sends photos at (height, width).

    Returns:
        the seconds until its first output arrived, and its resident memory in bytes after some
        more of them.

    Raises:
        SemanticFastSamError: nothing arrived, or the node ended.
    """
    os.environ.setdefault(
        DDS_PROFILE, str(resource_folder('config') / 'fastdds_shared_memory.xml')
    )
    watched = Watched()
    camera = (sys.executable, __file__, f'{size[1]}x{size[0]}', str(rate_hz))
    with _subscriber(node, watched) as spin, _process(camera):
        began = time.monotonic()
        with _process(node.command) as process:
            _spin_until(spin, process, lambda: len(watched.ages_ms) >= WARM_FRAMES, START_LIMIT_S)
            resident = psutil.Process(process.pid).memory_info().rss
    return watched.arrivals_s[0] - began, int(resident)


@contextmanager
def _subscriber(node: Node, watched: Watched) -> Iterator[Callable[[float], None]]:
    """Subscribe to a node's output; give what handles messages for some seconds."""
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    peer = rclpy.create_node('benchmark_subscriber', context=context)

    def arrived(message: Any) -> None:
        now = peer.get_clock().now()
        stamp = Time.from_msg(message.header.stamp, clock_type=now.clock_type)
        watched.ages_ms.append((now - stamp).nanoseconds / 1e6)
        watched.arrivals_s.append(time.monotonic())

    def told(message: DiagnosticArray) -> None:
        watched.diagnostics = {v.key: v.value for s in message.status for v in s.values}

    peer.create_subscription(node.kind, node.topic, arrived, 5)
    peer.create_subscription(DiagnosticArray, '/diagnostics', told, 5)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(peer)
    try:
        yield lambda seconds: executor.spin_once(timeout_sec=seconds)
    finally:
        executor.shutdown()
        peer.destroy_node()
        context.try_shutdown()


def _spin_until(
    spin: Callable[[float], None], process: Any, done: Callable[[], bool], limit_s: float
) -> None:
    deadline = time.monotonic() + limit_s
    while not done():
        spin(0.05)
        if process.poll() is not None:
            raise SemanticFastSamError(f'the node ended with exit code {process.returncode}')
        if time.monotonic() > deadline:
            raise SemanticFastSamError(f'too little arrived within {limit_s:.0f} s')


@contextmanager
def _process(command: Sequence[str]) -> Iterator['subprocess.Popen[bytes]']:
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def camera(size: tuple[int, int], rate_hz: float) -> None:
    """Publish photos, stamped when they are sent, until the process is ended."""
    from semantic_fast_sam_ros.ros.conversions import array_to_image

    rclpy.init()
    node = rclpy.create_node('benchmark_camera')
    profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(Image, TOPIC, profile)
    messages = [array_to_image(photo, 'rgb8', Image().header) for photo in scenes.photos(size)]
    number = 0

    def send() -> None:
        nonlocal number
        message = messages[number % len(messages)]
        message.header.stamp = node.get_clock().now().to_msg()
        message.header.frame_id = 'camera'
        publisher.publish(message)
        number += 1

    node.create_timer(1 / rate_hz, send)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    camera(scenes.parse_size(sys.argv[1]), float(sys.argv[2]))
