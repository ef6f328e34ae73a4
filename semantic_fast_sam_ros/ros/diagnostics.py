"""What the node says of itself: /diagnostics, and each new problem once in the log."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer

from semantic_fast_sam_ros.ros.counts import Counts
from semantic_fast_sam_ros.ros.statistics import FrameStatistics

TOPIC = '/diagnostics'
# Not the node's clock: under simulated time that may stand still.
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
# Kinds of problems; with several cameras the name of one follows.
SETUP, FRAMES, SILENCE, INPUT, OUTPUT = 'setup', 'frames', 'silence', 'input', 'output'
NAMES, GEOMETRY, CLOUD, TONE = 'names', 'geometry', 'cloud', 'tone'
RATE, AGE, TRACKS = 'rate', 'age', 'tracks'
QUERY, FEATURES = 'query', 'features'
# Not logged when they appear, but where they happen.
LOGGED_ELSEWHERE = (SETUP, FRAMES)


@dataclass(frozen=True)
class CameraState:
    """What is told of a camera that has a name."""

    name: str
    counts: Counts
    statistics: FrameStatistics
    facts: Mapping[str, str]


class Diagnostics:
    """Publishes the state of a node at a steady pace."""

    def __init__(
        self,
        node: Node,
        counts: Callable[[], Counts],
        statistics: FrameStatistics,
        problems: Callable[[], Mapping[str, str]],
        facts: Callable[[], Mapping[str, str]],
        cameras: Callable[[], Iterable[CameraState]] = tuple,
    ) -> None:
        """Name where the state comes from.

        Args:
            node: that publishes.
            counts: of frames.
            statistics: of the last frames.
            problems: what is wrong now, text by kind.
            facts: further values, such as models and device.
            cameras: those that have a name; each gets a status of its own.
        """
        self._node = node
        self._counts, self._statistics = counts, statistics
        self._problems, self._facts, self._cameras = problems, facts, cameras
        self._publisher = node.create_publisher(DiagnosticArray, TOPIC, 10)
        self._timer: Timer | None = None
        self._reported: set[str] = set()
        self._before = Counts()

    def every(self, period_s: float) -> None:
        """Set the pace."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._timer = self._node.create_timer(period_s, self._publish, clock=STEADY)

    def _publish(self) -> None:
        counts = self._counts()
        problems = {**self._problems(), **self._failures(counts)}
        for kind, text in problems.items():
            if kind not in LOGGED_ELSEWHERE and kind not in self._reported:
                self._node.get_logger().warning(text)
        self._reported = set(problems)
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name()
        message.status = [status(name, problems, counts, self._statistics, self._facts())]
        for camera in self._cameras():
            own = {k: text for k, text in problems.items() if k.endswith(f' {camera.name}')}
            message.status.append(
                status(
                    f'{name}/{camera.name}', own, camera.counts, camera.statistics, camera.facts
                )
            )
        self._publisher.publish(message)

    def _failures(self, counts: Counts) -> dict[str, str]:
        """Report images that were refused or failed since the last report."""
        before, self._before = self._before, counts
        new = {'refused': counts.refused - before.refused, 'failed': counts.failed - before.failed}
        told = ', '.join(f'{count} images {how}' for how, count in new.items() if count)
        return {FRAMES: f'{told}: {self._statistics.last_error}'} if told else {}


def status(
    name: str,
    problems: Mapping[str, str],
    counts: Counts,
    statistics: FrameStatistics,
    facts: Mapping[str, str],
) -> DiagnosticStatus:
    """Sum up a node: an error if it cannot be set up, a warning for other problems."""
    rate, share = statistics.rate_hz(), statistics.unlabelled_share
    values = {
        'rate_hz': f'{rate:.2f}',
        'age_ms': '' if statistics.age_ms is None else f'{statistics.age_ms:.1f}',
        'frames_received': str(counts.received),
        'frames_processed': str(counts.processed),
        'frames_dropped': str(counts.dropped),
        **{f'frames_dropped_{why}': str(n) for why, n in counts.dropped_by_reason.items()},
        'frames_refused': str(counts.refused),
        'frames_failed': str(counts.failed),
        'unlabelled_share': '' if share is None else f'{share:.3f}',
        'last_error': statistics.last_error,
        **facts,
    }
    for stage, (median, p95) in statistics.percentiles_ms().items():
        values[f'{stage}_ms_p50'] = f'{median:.1f}'
        values[f'{stage}_ms_p95'] = f'{p95:.1f}'
    level = DiagnosticStatus.WARN if problems else DiagnosticStatus.OK
    return DiagnosticStatus(
        level=DiagnosticStatus.ERROR if SETUP in problems else level,
        name=f'{name}: segmentation',
        message='; '.join(problems.values()) or f'{rate:.1f} Hz',
        hardware_id=facts.get('device', ''),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
