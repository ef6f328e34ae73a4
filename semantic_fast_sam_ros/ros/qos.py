"""The quality of service of each topic, and words for a mismatch."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITY = {
    'reliable': ReliabilityPolicy.RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
}


def input_qos(reliability: str, depth: int = 1) -> QoSProfile:
    """Return keep last: the worker only ever wants the newest image."""
    return _keep_last(depth, reliability)


def side_qos() -> QoSProfile:
    """Return the profile of streams that are matched with the images, such as depth."""
    return _keep_last(5, 'best_effort')


def output_qos(reliability: str, depth: int) -> QoSProfile:
    """Return the profile of image and detection topics."""
    return _keep_last(depth, reliability)


def latched_qos() -> QoSProfile:
    """Return reliable, transient local, depth 1: late subscribers get the last message."""
    profile = _keep_last(1, 'reliable')
    profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile


def _keep_last(depth: int, reliability: str) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=RELIABILITY[reliability]
    )
