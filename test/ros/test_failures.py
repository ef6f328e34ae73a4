"""From which failure on the process ends."""

import threading
from unittest.mock import Mock

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from semantic_fast_sam_ros.core.base.errors import NetworkError
from semantic_fast_sam_ros.ros import frames
from semantic_fast_sam_ros.ros.failures import FATAL_FAILURES, KNOWN_LAST_S, Failures

pytestmark = pytest.mark.quick


def test_unexpected_ones_end_it_by_their_number_whatever_comes_between() -> None:
    failures = Failures()
    for number in range(FATAL_FAILURES - 1):
        assert not failures.add(False, 0.01 * number)
        assert not failures.add(True, 0.01 * number)
    assert failures.add(False, 1.0) == f'{2 * FATAL_FAILURES - 1} images failed in a row'


def test_known_ones_end_it_once_they_have_lasted() -> None:
    failures = Failures()
    moments = [100 + KNOWN_LAST_S * part / 99 for part in range(100)]
    told = [failures.add(True, now_s) for now_s in moments]
    assert told[:-1] == [''] * 99
    assert told[-1] == '100 images failed in a row, over 60 s'


def test_few_known_ones_of_a_slow_camera_do_not() -> None:
    failures = Failures()
    told = [failures.add(True, KNOWN_LAST_S * number) for number in range(FATAL_FAILURES)]
    assert not any(told[:-1]) and told[-1]


@pytest.mark.parametrize('known', [False, True])
def test_an_image_that_was_labelled_makes_up_for_all(known: bool) -> None:
    failures = Failures()
    for number in range(4 * FATAL_FAILURES):
        assert not failures.add(known, KNOWN_LAST_S * number)
        if number % (FATAL_FAILURES - 1) == 0:
            failures.forget()


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Give the clock of frames, which stands still; memory is not looked for."""
    clock = Mock(monotonic=Mock(return_value=0.0))
    monkeypatch.setattr(frames, 'time', clock)
    monkeypatch.setattr(frames, 'free_memory', lambda: None)
    return clock.monotonic


@pytest.mark.parametrize('error', [MemoryError('no memory'), NetworkError('no numbers')])
def test_the_node_outlives_a_shortage_of_two_seconds_and_not_one_of_a_minute(
    minute: Mock, error: Exception
) -> None:
    node, give_up = Mock(), Mock()
    processor = frames.FrameProcessor(node, Mock(), Mock(), give_up)
    for _ in range(2 * FATAL_FAILURES):
        processor.failed(error)
    assert not give_up.called
    minute.return_value = KNOWN_LAST_S
    processor.failed(error)
    give_up.assert_called_once_with()
    (told,) = node.get_logger().fatal.call_args.args
    assert told == f'101 images failed in a row, over 60 s: giving up; the last: {error}'


def test_none_is_lost_between_threads() -> None:
    failures = Failures()
    threads = [
        threading.Thread(target=lambda: [failures.add(True, 0.0) for _ in range(10_000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures.add(True, KNOWN_LAST_S).startswith('40001 images')
