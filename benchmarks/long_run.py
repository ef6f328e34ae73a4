"""Run the node at full load for long; watch its memory, threads and files, and count its frames.

    python benchmarks/long_run.py --minutes 30

The node runs in a process of its own with a shipped profile; this one is its camera, subscribes
to everything it publishes, and looks at it from outside each second. Ends with 1 if memory,
threads or file descriptors grew after the warm-up, or if a frame is not accounted for.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import rclpy
import ultralytics

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.ros.conversions import array_to_image
from semantic_fast_sam_ros.ros.qos import input_qos

NODE = '/semantic_fast_sam'
OUTPUTS: dict[str, type] = {
    'label_image': Image,
    'confidence': Image,
    'instances': Image,
    'overlay': Image,
    'overlay/compressed': CompressedImage,
    'detections': Detection2DArray,
}
START_S = 300.0  # a start on a machine that does other things
SETTLE_S = 60.0  # for the last frame, and for the diagnostics that count it
WARM_UP_SHARE = 0.25
ALLOWED_GROWTH_MIB = 64.0  # of what stays between two frames; an image has 0.9 MiB
COUNTS = ('received', 'processed', 'dropped', 'refused', 'failed')


@dataclass
class Samples:
    """What was seen from outside, one value a second."""

    time_s: list[float] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    age_ms: list[float] = field(default_factory=list)  # of the newest labels when they came here

    def look(self, now_s: float, process: psutil.Process, age_ms: float) -> None:
        """Add a sample."""
        with process.oneshot():
            self.resident_mib.append(process.memory_info().rss / 2**20)
            self.threads.append(process.num_threads())
            self.files.append(process.num_fds())
        self.time_s.append(now_s)
        self.age_ms.append(age_ms)

    def growth(self, name: str) -> float:
        """Return the growth from the first to the last third of the time after the warm-up.

        Of the lower values in each: a frame in work takes memory that it gives back.
        """
        values = getattr(self, name)[int(WARM_UP_SHARE * len(self.time_s)) :]
        third = max(1, len(values) // 3)
        floors = [float(np.percentile(part, 10)) for part in (values[:third], values[-third:])]
        return floors[1] - floors[0]


class Camera(Node):
    """Publishes a photo, subscribes to all outputs."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Prepare a photo of (width, height)."""
        super().__init__('long_run_camera')
        photo = read_image(Path(ultralytics.__file__).parent / 'assets' / 'bus.jpg')
        self._photo = cv2.resize(photo, size)
        self._publisher = self.create_publisher(Image, '/image', input_qos('reliable'))
        self.sent, self.age_ms = 0, 0.0
        self.ages_ms: list[float] = []
        self.heard = dict.fromkeys(OUTPUTS, 0)
        self.values: dict[str, str] = {}
        for topic, kind in OUTPUTS.items():
            self.create_subscription(kind, f'{NODE}/{topic}', self._counter(topic), 5)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, 5)

    def publish(self) -> None:
        """Send the photo, shifted a little, with the time as its stamp."""
        header_image = np.roll(self._photo, 7 * self.sent, axis=1)
        message = array_to_image(header_image, 'rgb8', Image().header)
        message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(message)
        self.sent += 1

    def count(self, name: str) -> int:
        """Return a count of frames of the newest diagnostics."""
        return int(self.values.get(f'frames_{name}', -1))

    def settled(self) -> bool:
        """Return whether each frame that the node received is accounted for."""
        received, *ends = (self.count(name) for name in COUNTS)
        return received == sum(ends)

    def _counter(self, topic: str) -> Any:
        def count(message: Any) -> None:
            self.heard[topic] += 1
            if topic == 'label_image':
                stamp = message.header.stamp
                now_ns = self.get_clock().now().nanoseconds
                self.age_ms = (now_ns - stamp.sec * 10**9 - stamp.nanosec) / 1e6
                self.ages_ms.append(self.age_ms)

        return count

    def _diagnosed(self, message: DiagnosticArray) -> None:
        self.values = {value.key: value.value for value in message.status[0].values}


def main() -> int:
    """Run, print the figures, draw the curves."""
    arguments = parse()
    rclpy.init()
    camera = Camera(tuple(map(int, arguments.size.split('x'))))
    executor = SingleThreadedExecutor()
    executor.add_node(camera)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / 'node.log'
        node = start_node(arguments.profile, log)
        try:
            samples = run(arguments, camera, executor, psutil.Process(node.pid))
        except BaseException:
            print(log.read_text(), file=sys.stderr)
            raise
        finally:
            node.send_signal(signal.SIGINT)
            code = node.wait(SETTLE_S)
    rclpy.shutdown()
    figures = summary(samples, camera, code)
    print(json.dumps(figures, indent=1))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / 'long_run.json').write_text(json.dumps(asdict(samples) | figures))
    draw(samples, arguments.output / 'long_run.png')
    return 0 if not figures['problems'] else 1


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--minutes', type=float, default=30.0, help='how long, default 30')
    parser.add_argument('--rate', type=float, default=30.0, help='images a second, default 30')
    parser.add_argument('--size', default='640x480', help='of the images, WIDTHxHEIGHT')
    parser.add_argument('--profile', default='embedded', help='of config/')
    parser.add_argument(
        '--output', type=Path, default=Path('long_run'), help='folder for figures and curves'
    )
    return parser.parse_args()


def start_node(profile: str, log: Path) -> 'subprocess.Popen[bytes]':
    """Start the node with a shipped profile."""
    file = resource_folder('config') / f'{profile}.yaml'
    command = [sys.executable, '-m', 'semantic_fast_sam_ros.ros.process']
    with log.open('w') as output:
        return subprocess.Popen(
            [*command, '--ros-args', '--params-file', str(file)],
            cwd=Path(__file__).resolve().parents[1],
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def run(
    arguments: argparse.Namespace,
    camera: Camera,
    executor: SingleThreadedExecutor,
    process: psutil.Process,
) -> Samples:
    """Publish at a rate and look each second; then wait until all frames are accounted for."""
    spin_until(executor, lambda: camera.values.get('state') == 'active', START_S, 'active node')
    samples, started = Samples(), time.monotonic()
    ends, next_image, next_look = started + 60 * arguments.minutes, started, started
    while (now := time.monotonic()) < ends:
        if now >= next_image:
            camera.publish()
            next_image = max(next_image + 1 / arguments.rate, now - 1 / arguments.rate)
        if now >= next_look:
            samples.look(now - started, process, camera.age_ms)
            next_look += 1
        executor.spin_once(timeout_sec=max(0.0, min(next_image, next_look) - time.monotonic()))
    received = -1
    while received != (received := camera.count('received')) or not camera.settled():
        camera.values.clear()
        spin_until(executor, lambda: camera.values, SETTLE_S, 'diagnostics')
    return samples


def spin_until(executor: Any, predicate: Any, timeout_s: float, what: str) -> None:
    """Spin until a predicate is true; raise TimeoutError with what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError(f'no {what} within {timeout_s:.0f} s')
        executor.spin_once(timeout_sec=0.1)


def summary(samples: Samples, camera: Camera, code: int) -> dict[str, Any]:
    """Return the figures, and what is wrong with them."""
    growth = {name: samples.growth(name) for name in ('resident_mib', 'threads', 'files')}
    ages = np.percentile(camera.ages_ms or [0.0], (50, 95, 100)).round(1).tolist()
    limits = {'resident_mib': ALLOWED_GROWTH_MIB, 'threads': 0, 'files': 0}
    problems = [
        f'{name} grew by {growth[name]:.1f}' for name in limits if growth[name] > limits[name]
    ]
    problems += [] if code == 0 else [f'the node ended with {code}']
    problems += [] if camera.count('processed') > 0 else ['no frame was processed']
    return {
        'duration_s': round(samples.time_s[-1], 1),
        'sent': camera.sent,
        **{name: camera.count(name) for name in COUNTS},
        'heard': camera.heard,
        'age_ms_p50_p95_max': ages,
        'growth': growth,
        'problems': problems,
    }


def draw(samples: Samples, file: Path) -> None:
    """Draw the curves over time."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    minutes = np.array(samples.time_s) / 60
    figure, axes = plt.subplots(3, 1, sharex=True, figsize=(7, 5), layout='constrained')
    axes[0].plot(minutes, samples.resident_mib)
    axes[0].set_ylabel('resident, MiB')
    axes[1].plot(minutes, samples.threads, label='threads')
    axes[1].plot(minutes, samples.files, label='file descriptors')
    axes[1].legend(loc='center right')
    axes[2].plot(minutes, samples.age_ms, linewidth=0.6)
    axes[2].set_ylabel('age of the labels, ms')
    axes[2].set_xlabel('minutes')
    for axis in axes:
        axis.set_ylim(bottom=0)
        axis.axvspan(0, WARM_UP_SHARE * minutes[-1], alpha=0.1, color='grey')
        axis.grid(alpha=0.3)
    figure.savefig(file, dpi=80)


if __name__ == '__main__':
    sys.exit(main())
