"""How long the demo runs, and when the viewer runs beside it."""

import argparse
import signal
import threading
from types import SimpleNamespace

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError, SemanticFastSamError
from semantic_fast_sam_ros.core.settings.node import InputSettings
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
    with demo._viewer(False, ''):
        assert started == []
    demo._viewer(True, '')
    demo._viewer(True, '/demo_2')
    first, second = (words[words.index('view') :] for words in started)
    assert first == ['view', '--node', '/semantic_fast_sam']
    assert second == ['view', '--node', '/demo_2/semantic_fast_sam', '--port', '0']


def test_node_and_camera_meet_in_the_demos_namespace(tmp_path):
    for namespace in ('', '/demo_2'):
        node = demo._node_command(_arguments(), {'device': 'cpu'}, namespace)
        camera = demo._stream_command(_arguments(), tmp_path / 'count.json', namespace)
        topic = f'{namespace}/semantic_fast_sam_demo/image'
        assert f'image:={topic}' in node and 'device:="cpu"' in node
        assert (f'__ns:={namespace}' in node) == bool(namespace)
        assert camera[camera.index('--topic') + 1] == topic


def test_a_profile_for_another_namespace_ends_a_second_demo_before_it_starts(tmp_path, capsys):
    demo._tell_namespace('embedded', '/demo_2', tmp_path)
    assert f'begin with /demo_2/, its report goes to {tmp_path}' in capsys.readouterr().out
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/semantic_fast_sam:\n  ros__parameters:\n    device: cpu\n')
    with pytest.raises(ConfigError, match='sets nothing for /demo_2/semantic_fast_sam'):
        demo._tell_namespace(str(mine), '/demo_2', tmp_path)


@pytest.mark.parametrize(
    ('values', 'told'),
    [
        ({}, 'the node was still starting and had not told its state'),
        ({'state': 'unconfigured'}, 'the node was unconfigured, its models were being loaded'),
        (
            {'state': 'active', 'frames_received': '0'},
            'the node was active and had received 0 images (no image on /image for 4 s)',
        ),
    ],
)
def test_before_the_first_label_it_is_told_how_far_the_start_has_come(values, told):
    pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
    from semantic_fast_sam_ros.tools.demo_observer import DemoObserver

    observer = SimpleNamespace(
        state=values.get('state', ''), values=values, status_text='no image on /image for 4 s'
    )
    assert DemoObserver.before_first_label(observer) == told


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
    done: list[str] = []
    observer = SimpleNamespace(
        spin=spins.append,
        state='active',
        stop_node=lambda: done.append(f'stopped after {len(spins)}'),
        settle=lambda: done.append('settled'),
    )
    demo._end(stream, observer)
    assert signals == [signal.SIGINT]
    assert done == ['stopped after 3', 'settled']


def test_a_camera_that_does_not_end_is_not_waited_for_until_the_node_misses_it(monkeypatch):
    assert InputSettings().timeout_s > demo.LAST_IMAGES_S
    monkeypatch.setattr(demo, 'LAST_IMAGES_S', 0.05)
    done: list[str] = []
    observer = SimpleNamespace(
        spin=lambda seconds: None,
        state='active',
        stop_node=lambda: done.append('stopped'),
        settle=lambda: None,
    )
    demo._end(SimpleNamespace(send_signal=lambda number: None, poll=lambda: None), observer)
    assert done == ['stopped']


def test_a_camera_that_ends_by_itself_ends_the_demo_with_a_sentence():
    running, ended = SimpleNamespace(poll=lambda: None), SimpleNamespace(poll=lambda: 3)
    ended.returncode = 3
    observer = SimpleNamespace(spin=lambda seconds: None, labelled_frames=0)
    with pytest.raises(SemanticFastSamError, match='the camera ended with exit code 3'):
        demo._watch(observer, {'node': running, 'camera': ended}, 5.0)


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
