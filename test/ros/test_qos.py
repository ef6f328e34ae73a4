"""Each topic has the quality of service of the contract."""

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy

from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.ros import qos

pytestmark = pytest.mark.quick


def test_input_is_best_effort_and_keeps_few_by_default() -> None:
    settings = Config().input
    profile = qos.input_qos(settings.reliability, settings.depth)
    assert profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, 4)
    assert profile.durability == DurabilityPolicy.VOLATILE


def test_outputs_are_reliable_with_a_small_depth_by_default() -> None:
    settings = Config().output
    profile = qos.output_qos(settings.reliability, settings.depth)
    assert profile.reliability == ReliabilityPolicy.RELIABLE
    assert profile.history == HistoryPolicy.KEEP_LAST
    assert 1 <= profile.depth <= 5


def test_both_can_be_turned_round() -> None:
    assert qos.input_qos('reliable').reliability == ReliabilityPolicy.RELIABLE
    assert qos.output_qos('best_effort', 7).reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.output_qos('best_effort', 7).depth == 7


def test_label_info_waits_for_late_subscribers() -> None:
    profile = qos.latched_qos()
    assert profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert profile.reliability == ReliabilityPolicy.RELIABLE
    assert profile.depth == 1
