"""How long the demo runs, and when the viewer runs beside it."""

import argparse
import signal
import threading
from types import SimpleNamespace

import pytest

from semantic_fast_sam_ros.tools import demo


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ('words', 'seconds'),
    [
        ([], 30.0),
        (['--seconds', '5'], 5.0),
        (['--forever'], None),
        (['--web'], None),
        (['--web', '--seconds', '5'], 5.0),
        (['--forever', '--seconds', '5'], None),
    ],
)
def test_the_viewer_keeps_the_demo_running_unless_told_how_long(words, seconds):
    assert demo._duration_s(_arguments(*words)) == seconds


def test_the_viewer_is_a_process_of_its_own_only_if_asked_for(monkeypatch):
    started = []
    monkeypatch.setattr(demo, '_process', started.append)
    with demo._viewer(False):
        assert started == []
    demo._viewer(True)
    assert started[0][-1] == 'view'


def test_the_status_is_drawn_over_on_a_terminal_only(monkeypatch, capsys):
    assert demo._show('10 Hz') == demo.LOGGED_STATUS_PERIOD_S
    assert capsys.readouterr().out == '10 Hz\n'
    monkeypatch.setattr('sys.stdout.isatty', lambda: True)
    assert demo._show('10 Hz') == demo.STATUS_PERIOD_S
    assert capsys.readouterr().out == '\r\x1b[K10 Hz'


def test_labels_are_received_until_the_camera_has_ended():
    signals, spins = [], []
    stream = SimpleNamespace(
        send_signal=signals.append, poll=lambda: 0 if len(spins) == 3 else None
    )
    demo._end(stream, SimpleNamespace(spin=spins.append))
    assert signals == [signal.SIGINT]
    assert len(spins) == 3


@pytest.mark.slow
def test_ctrl_c_while_it_listens_is_no_error():
    rclpy = pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
    from semantic_fast_sam_ros.tools.demo_observer import DemoObserver

    with DemoObserver() as observer:
        ending = threading.Timer(0.2, rclpy.shutdown)
        ending.start()
        while rclpy.ok():
            observer.spin(5.0)
        observer.spin(5.0)
        ending.join()
