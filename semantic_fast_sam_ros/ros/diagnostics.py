"""The node's state as one diagnostic_msgs/DiagnosticStatus."""

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from semantic_fast_sam_ros.ros.statistics import FrameStatistics
from semantic_fast_sam_ros.ros.worker import Counts


def status(
    name: str,
    problems: list[str],
    counts: Counts,
    statistics: FrameStatistics,
    facts: Mapping[str, str],
) -> DiagnosticStatus:
    """Sum up a node.

    Args:
        name: of the node, fully qualified.
        problems: what is wrong now, worst first; none is OK.
        counts: of frames.
        statistics: of the last frames.
        facts: further values, such as models and device.
    """
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
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if problems else DiagnosticStatus.OK,
        name=f'{name}: segmentation',
        message='; '.join(problems) or f'{rate:.1f} Hz',
        hardware_id=facts.get('device', ''),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
