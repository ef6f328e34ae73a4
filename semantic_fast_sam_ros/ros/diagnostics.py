"""What the node says of itself: /diagnostics, and each new problem once in the log."""

from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer

from semantic_fast_sam_ros.ros.statistics import FrameStatistics
from semantic_fast_sam_ros.ros.worker import Counts

TOPIC = '/diagnostics'
# Not the node's clock: under simulated time that may stand still.
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
# Kinds of problems; those of LOGGED are logged when they appear, the others where they happen.
SETUP, FRAMES, SILENCE, INPUT, OUTPUT = 'setup', 'frames', 'silence', 'input', 'output'
LOGGED = (SILENCE, INPUT, OUTPUT)


class Diagnostics:
    """Publishes the state of a node at a steady pace."""

    def __init__(
        self,
        node: Node,
        counts: Callable[[], Counts],
        statistics: FrameStatistics,
        problems: Callable[[], Mapping[str, str]],
        facts: Callable[[], Mapping[str, str]],
    ) -> None:
        """Name where the state comes from.

        Args:
            node: that publishes.
            counts: of frames.
            statistics: of the last frames.
            problems: what is wrong now, text by kind.
            facts: further values, such as models and device.
        """
        self._node = node
        self._counts, self._statistics = counts, statistics
        self._problems, self._facts = problems, facts
        self._publisher = node.create_publisher(DiagnosticArray, TOPIC, 10)
        self._timer: Timer | None = None
        self._reported: set[str] = set()
        self._failed_before = 0

    def every(self, period_s: float) -> None:
        """Set the pace."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._timer = self._node.create_timer(period_s, self._publish, clock=STEADY)

    def _publish(self) -> None:
        counts = self._counts()
        problems = {**self._problems(), **self._failures(counts)}
        for kind in LOGGED:
            if kind in problems and kind not in self._reported:
                self._node.get_logger().warning(problems[kind])
        self._reported = set(problems)
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name()
        message.status = [status(name, problems, counts, self._statistics, self._facts())]
        self._publisher.publish(message)

    def _failures(self, counts: Counts) -> dict[str, str]:
        """Report images that failed since the last report."""
        failed, self._failed_before = counts.failed - self._failed_before, counts.failed
        return {FRAMES: f'{failed} images failed: {self._statistics.last_error}'} if failed else {}


def status(
    name: str,
    problems: Mapping[str, str],
    counts: Counts,
    statistics: FrameStatistics,
    facts: Mapping[str, str],
) -> DiagnosticStatus:
    """Sum up a node: an error if it cannot be set up, a warning for other problems."""
    rate = statistics.rate_hz()
    values = {
        'rate_hz': f'{rate:.2f}',
        'age_ms': '' if statistics.age_ms is None else f'{statistics.age_ms:.1f}',
        'frames_received': str(counts.received),
        'frames_processed': str(counts.processed),
        'frames_dropped': str(counts.dropped),
        'frames_failed': str(counts.failed),
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
