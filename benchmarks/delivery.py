"""Count which images reach the node, and which of its own reach an outside subscriber.

    python benchmarks/delivery.py --output delivery.json

A camera process publishes stamped images, the node (profile `embedded`, at full load) labels the
newest, this process subscribes to labels and overlay; with and without the shipped DDS profile,
best effort and reliable. `--rates 30 60 120 --sizes 320x240 --quick` measures the age under load.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.ros import qos
from semantic_fast_sam_ros.ros.conversions import array_to_image
from semantic_fast_sam_ros.ros.shutdown import spin

NODE = '/semantic_fast_sam'
PROFILE_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
OUTPUTS = ('label_image', 'overlay')
LIMIT_S = 90.0
# The shipped models on a small grid: an age under load is a few frames' time, not a second.
QUICK = {'masks.image_size': 160, 'dense.image_size': 120, 'threads': 1}


@dataclass(frozen=True)
class Row:
    """One run. Shares are of 1; ages are stamps' to an outside subscriber's clock, ms."""

    profile: bool
    reliability: str
    size: str
    rate_hz: float
    published: int
    reached_node: float
    labelled: int
    reached_subscriber: float
    frame_ms: tuple[float, float]  # decode, label, publish in the node: median, 95th percentile
    wait_ms: tuple[float, float]  # stamp to the start of that, likewise
    age_ms: tuple[float, float, float]  # median, 95th percentile, largest


class Observer(Node):
    """Hears the node's outputs and diagnostics."""

    def __init__(self, reliability: str) -> None:
        """Subscribe."""
        super().__init__('delivery_observer')
        self.values: dict[str, str] = {}
        self.heard = dict.fromkeys(OUTPUTS, 0)
        self.ages_ms: list[float] = []
        for topic in OUTPUTS:
            self.create_subscription(
                Image,
                f'{NODE}/{topic}',
                lambda message, topic=topic: self._hear(topic, message),
                qos.output_qos(reliability, 5),
            )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, 10)

    def _hear(self, topic: str, message: Image) -> None:
        self.heard[topic] += 1
        if topic == OUTPUTS[0]:
            stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
            self.ages_ms.append(1000 * (time.time() - stamp))

    def _diagnosed(self, message: DiagnosticArray) -> None:
        self.values = {v.key: v.value for v in message.status[0].values}

    def count(self, key: str) -> int:
        """Return a count of the node's diagnostics."""
        return int(self.values.get(key, 0))

    def times_ms(self, stage: str) -> tuple[float, float]:
        """Return median and 95th percentile of a stage's time over the node's last images."""
        median, p95 = (float(self.values[f'{stage}_ms_{which}']) for which in ('p50', 'p95'))
        return median, p95


def run(
    arguments: argparse.Namespace, observer: Observer, profile: bool, reliability: str
) -> Iterator[Row]:
    """Measure all sizes and rates against one node."""
    for size in arguments.sizes:
        for rate in arguments.rates:
            before = dict(observer.values), dict(observer.heard)
            observer.ages_ms.clear()
            command = [sys.executable, __file__, '--camera', size, str(rate), reliability]
            camera = subprocess.run(
                [*command, '--seconds', str(arguments.seconds)], stdout=subprocess.PIPE, check=True
            )
            settled(observer)
            received, labelled = (
                observer.count(key) - int(before[0].get(key, 0))
                for key in ('frames_received', 'frames_processed')
            )
            heard = min(observer.heard[t] - before[1][t] for t in OUTPUTS)
            published = int(camera.stdout)
            yield Row(
                profile,
                reliability,
                size,
                rate,
                published,
                received / published,
                labelled,
                heard / max(labelled, 1),
                observer.times_ms('frame'),
                observer.times_ms('wait'),
                tuple(round(float(v), 1) for v in np.percentile(observer.ages_ms, (50, 95, 100)))
                if observer.ages_ms
                else (0.0, 0.0, 0.0),
            )


def settled(observer: Observer) -> None:
    """Wait until every received image has come to an end, and the messages have come."""
    ends = [f'frames_{end}' for end in ('processed', 'dropped', 'refused', 'failed')]
    until(
        lambda: observer.count('frames_received') == sum(observer.count(e) for e in ends),
        'the last image done',
    )
    time.sleep(1.5)


def until(predicate: Any, what: str) -> None:
    """Wait for a predicate."""
    deadline = time.monotonic() + LIMIT_S
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError(f'not within {LIMIT_S:.0f} s: {what}')
        time.sleep(0.05)


@contextlib.contextmanager
def node_process(reliability: str, quick: bool) -> Iterator[None]:
    """Run the node."""
    settings: dict[str, object] = {
        'input.reliability': reliability,
        'output.reliability': reliability,
        'output.diagnostics_period_s': 0.5,
        'offline': True,
        **(QUICK if quick else {}),
    }
    given = [word for k, v in settings.items() for word in ('-p', f'{k}:={str(v).lower()}')]
    file = str(resource_folder('config') / 'embedded.yaml')
    command = [sys.executable, '-m', 'semantic_fast_sam_ros.ros.process', '--ros-args']
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, '--params-file', file, *given], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(LIMIT_S)


@contextlib.contextmanager
def observing(reliability: str) -> Iterator[Observer]:
    """Run the observer."""
    rclpy.init(args=[])
    observer = Observer(reliability)
    executor = SingleThreadedExecutor()
    executor.add_node(observer)

    thread = threading.Thread(target=spin, args=(executor,), daemon=True)
    thread.start()
    try:
        yield observer
    finally:
        rclpy.try_shutdown()
        thread.join(LIMIT_S)


def be_camera(size: str, rate_hz: float, reliability: str, seconds: float) -> None:
    """Publish noise at a rate; print how many images."""
    rclpy.init(args=[])
    node = Node('delivery_camera')
    publisher = node.create_publisher(Image, '/image', qos.output_qos(reliability, 5))
    width, height = (int(side) for side in size.split('x'))
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    message = array_to_image(pixels, 'rgb8', Header(frame_id='camera'))
    until(publisher.get_subscription_count, 'the node subscribes')
    time.sleep(1.0)
    began, count = time.monotonic(), round(seconds * rate_hz)
    for number in range(count):
        time.sleep(max(0.0, began + number / rate_hz - time.monotonic()))
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    print(count, flush=True)
    time.sleep(1.0)
    rclpy.try_shutdown()


def measure(arguments: argparse.Namespace, profile: bool, reliability: str) -> list[Row]:
    """Measure in processes of their own: a DDS profile is read once a process."""
    with node_process(reliability, arguments.quick), observing(reliability) as observer:
        until(lambda: observer.values.get('state') == 'active', 'the node is active')
        rows = []
        for row in run(arguments, observer, profile, reliability):
            rows.append(row)
            print(json.dumps(asdict(row)), flush=True)
        return rows


def each_alone(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Run every combination of DDS profile and reliability, each with fresh processes."""
    rows: list[dict[str, object]] = []
    shipped = str(resource_folder('config') / 'fastdds_shared_memory.xml')
    for profile in arguments.profiles:
        environment = {k: v for k, v in os.environ.items() if k != PROFILE_VARIABLE}
        environment |= {PROFILE_VARIABLE: shipped} if profile == 'shipped' else {}
        for reliability in arguments.reliabilities:
            command = [sys.executable, __file__, *sys.argv[1:], '--one', profile, reliability]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            for line in done.stdout.decode().splitlines():
                rows.append(json.loads(line))
                print(line, flush=True)
    return rows


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', nargs='+', default=['640x480', '1920x1080'])
    parser.add_argument('--rates', nargs='+', type=float, default=[30.0])
    parser.add_argument('--reliabilities', nargs='+', default=['best_effort', 'reliable'])
    parser.add_argument('--profiles', nargs='+', default=['none', 'shipped'])
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--quick', action='store_true', help='networks on small images')
    parser.add_argument('--output', type=Path)
    parser.add_argument('--camera', nargs=3, help=argparse.SUPPRESS)
    parser.add_argument('--one', nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Be one of the processes."""
    arguments = parse()
    if arguments.camera:
        size, rate, reliability = arguments.camera
        be_camera(size, float(rate), reliability, arguments.seconds)
    elif arguments.one:
        measure(arguments, arguments.one[0] == 'shipped', arguments.one[1])
    else:
        rows = each_alone(arguments)
        if arguments.output:
            arguments.output.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
