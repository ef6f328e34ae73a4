"""Publish images from a folder, video, webcam or rosbag as a camera topic."""

import argparse
import contextlib
import itertools
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from semantic_fast_sam_ros.bags.outcome import INCOMPLETE_INPUT
from semantic_fast_sam_ros.core.base.errors import ConfigError, SemanticFastSamError
from semantic_fast_sam_ros.core.base.folders import use_shared_memory
from semantic_fast_sam_ros.core.base.signals import end_process, ignore_interrupts, interrupt_once
from semantic_fast_sam_ros.ros.arguments import own_words
from semantic_fast_sam_ros.tools.sources import Frame, open_source

DEFAULT_RATE_HZ = 10.0
CLOCK_PERIOD_S = 0.01
MAXIMUM_PAUSE_S = 10.0  # longer ones are a clock that was set, or a recorder that was stopped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        'source',
        nargs='?',
        default='',
        help='image or video or folder of them, /dev/videoN, rosbag2 folder or .mcap '
        '(default: a street photo under a virtual camera)',
    )
    parser.add_argument('--topic', default='image', help='topic to publish on (default: image)')
    parser.add_argument(
        '--bag-topic', default='', help='image topic of a bag (default: its first)'
    )
    parser.add_argument(
        '--rate',
        default='',
        help='images a second, or a factor of the recorded speed of a bag such as 0.5x '
        '(default: 1x for a bag, 10 for the others)',
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--clock',
        action='store_true',
        help="publish /clock with a bag's time, for nodes with use_sim_time; "
        "stamps and frame_ids are then the bag's",
    )
    parser.add_argument(
        '--recorded-stamps',
        action='store_true',
        help='stamps and frame_ids of a bag as recorded (default: now, and --frame-id)',
    )
    parser.add_argument('--frame-id', default='camera', help='frame_id of the headers')
    parser.add_argument(
        '--wait', action='store_true', help='publish nothing until somebody subscribes'
    )
    parser.add_argument(
        '--count-file', type=Path, help='write the number of images published here'
    )


def run(arguments: argparse.Namespace, ros_arguments: list[str] | None = None) -> int:
    """Publish until the source ends or SIGINT or SIGTERM arrives."""
    rate_hz, factor = parse_rate(arguments.rate)
    interrupt_once()
    use_shared_memory()
    try:
        return _publish(arguments, rate_hz, factor, ros_arguments or [])
    except KeyboardInterrupt:  # before anything was published
        return 0


def _publish(
    arguments: argparse.Namespace,
    rate_hz: float | None,
    factor: float,
    ros_arguments: list[str],
) -> int:
    import rclpy

    from semantic_fast_sam_ros.ros.shutdown import shut_down

    rclpy.init(args=ros_arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    stream = Stream(arguments)
    try:
        while arguments.wait and rclpy.ok() and not stream.heard():
            rclpy.spin_once(stream.node, timeout_sec=0.05)
        for frame in paced(_frames(arguments, stream), rate_hz, factor, stream.tick):
            if not rclpy.ok():
                break
            stream.publish(frame)
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        ignore_interrupts()
        if arguments.count_file:
            arguments.count_file.write_text(json.dumps(stream.count))
        stream.close()
        shut_down()
    return INCOMPLETE_INPUT if stream.left_out else 0


class Stream:
    """The node that publishes."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Create the node and its publishers."""
        from rclpy.node import Node
        from rclpy.qos import QoSProfile
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import Image

        # It imports torch: before somebody sees a camera here and waits for its images.
        from semantic_fast_sam_ros.ros.conversions import array_to_image

        self._to_message = array_to_image
        self.count = 0
        self.left_out = False  # something that could not be published
        self._told: set[str] = set()
        self.node = Node('image_stream')
        self._publisher = self.node.create_publisher(Image, arguments.topic, QoSProfile(depth=5))
        self._clock = self.node.create_publisher(Clock, '/clock', 1) if arguments.clock else None
        self._recorded = arguments.recorded_stamps or arguments.clock
        self._frame_id = arguments.frame_id

    def heard(self) -> bool:
        """Say whether somebody subscribes."""
        return bool(self._publisher.get_subscription_count() > 0)

    def leave_out(self, what: str) -> None:
        """Tell what cannot be published, once."""
        self.left_out = True
        self.tell(what)

    def tell(self, what: str) -> None:
        """Tell what is worth knowing, once in all rounds."""
        if what not in self._told:
            print(what, file=sys.stderr)
        self._told.add(what)

    def tick(self, time_ns: int) -> None:
        """Publish the time of the recording."""
        if self._clock is not None:
            from rosgraph_msgs.msg import Clock

            self._clock.publish(Clock(clock=_time(time_ns)))

    def publish(self, frame: Frame) -> None:
        """Publish an image."""
        from std_msgs.msg import Header

        if self._recorded and frame.stamp_ns is not None:
            header = Header(stamp=_time(frame.stamp_ns), frame_id=frame.frame_id)
        else:
            header = Header(stamp=self.node.get_clock().now().to_msg(), frame_id=self._frame_id)
        self._publisher.publish(self._to_message(frame.image, 'rgb8', header))
        self.count += 1

    def close(self) -> None:
        """Leave the graph, once subscribers have what was published last."""
        from rclpy.duration import Duration

        with contextlib.suppress(Exception):  # already shut down by a signal
            self._publisher.wait_for_all_acked(Duration(seconds=2))
        self.node.destroy_node()


def parse_rate(text: str) -> tuple[float | None, float]:
    """Read --rate: images a second or None, and the factor of the recorded speed.

    Raises:
        ConfigError: it is neither a number nor a factor, or not positive.
    """
    try:
        value = float(text.removesuffix('x')) if text else 1.0
    except ValueError:
        value = 0.0
    if not 0 < value < float('inf'):
        raise ConfigError(f'--rate must be positive, such as 15 or 0.5x, not {text!r}')
    if not text or text.endswith('x'):
        return None, value
    return value, 1.0


def paced(
    frames: Iterator[Frame], rate_hz: float | None, factor: float, tick: Any = None
) -> Iterator[Frame]:
    """Give out frames when they are due; one that comes late does not hurry the next.

    Args:
        frames: with record times where the source has them.
        rate_hz: images a second; None: as recorded, times `factor`.
        factor: of the recorded speed.
        tick: called with the time of the recording, in nanoseconds, while it passes.
    """
    due: float | None = None
    last: Frame | None = None
    for frame in frames:
        before = None if last is None else last.time_ns
        if due is not None:
            step = 1 / (rate_hz or DEFAULT_RATE_HZ * factor)
            gap = None if rate_hz is not None or last is None else _gap_s(last, frame)
            if gap is not None:
                if gap > MAXIMUM_PAUSE_S:
                    _tell_pause(gap)
                    gap, before = MAXIMUM_PAUSE_S, None  # the recording's clock jumps
                step = gap / factor
            due += step
        due = max(due or 0.0, time.monotonic())
        _wait(due, before, frame.time_ns, tick)
        yield frame
        last = frame


def _gap_s(last: Frame, frame: Frame) -> float | None:
    """Return the time from one frame to the next; None where the source has none."""
    if last.time_ns is None or frame.time_ns is None:
        return None
    gap = frame.time_ns - last.time_ns
    if gap == 0 and frame.stamp_ns is not None and last.stamp_ns is not None:
        gap = frame.stamp_ns - last.stamp_ns  # the recorder's clock stood still
    # At the end of a loop time jumps back: the first frame comes at once.
    return max(0, gap) / 1e9


def _tell_pause(seconds: float) -> None:
    print(
        f'the next image was recorded {seconds:.0f} s later: going on as after '
        f'{MAXIMUM_PAUSE_S:.0f} s (--rate N gives N images a second instead)',
        file=sys.stderr,
        flush=True,
    )


def _wait(due: float, before_ns: int | None, after_ns: int | None, tick: Any) -> None:
    """Wait until a moment, while the clock of the recording goes from one time to the next."""
    begun = time.monotonic()
    while tick is not None and before_ns is not None and after_ns is not None:
        now = time.monotonic()
        if now >= due:
            break
        tick(before_ns + round((after_ns - before_ns) * (now - begun) / (due - begun)))
        time.sleep(min(CLOCK_PERIOD_S, max(0.0, due - now)))
    time.sleep(max(0.0, due - time.monotonic()))
    if tick is not None and after_ns is not None:
        tick(after_ns)


def _time(time_ns: int) -> Any:
    from builtin_interfaces.msg import Time

    return Time(sec=time_ns // 10**9, nanosec=time_ns % 10**9)


def _frames(arguments: argparse.Namespace, stream: Stream) -> Iterator[Frame]:
    rounds = itertools.count() if arguments.loop else range(1)
    for _ in rounds:
        yield from open_source(
            arguments.source, arguments.bag_topic, stream.leave_out, stream.tell
        )


def main_ros() -> NoReturn:
    """Run as a ROS executable: `ros2 run semantic_fast_sam_ros image_stream SOURCE ...`."""
    parser = argparse.ArgumentParser(prog='image_stream', description=__doc__)
    add_arguments(parser)
    try:
        code = run(parser.parse_args(own_words(sys.argv[1:])), sys.argv)
    except SemanticFastSamError as error:
        print(f'image_stream: {error}', file=sys.stderr)
        code = 2
    end_process(code)
