"""The node as a process: signals, exit codes, parameter files."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import NAME, NodeProcess, Peer, until

Starter = Callable[..., NodeProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Give a function that starts a node process; end it after the test."""
    started: list[NodeProcess] = []

    def starter(*arguments: str, quick: bool = True) -> NodeProcess:
        started.append(NodeProcess(tmp_path / 'log.txt', *arguments, quick=quick))
        return started[-1]

    yield starter
    for process in started:
        process.close()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['SIGINT', 'SIGTERM'])
def test_signal_ends_an_active_node_with_0(start: Starter, number: int) -> None:
    process = start()
    process.until_logged('waiting for images on /image')
    assert process.end(number) == 0
    log = process.log.read_text()
    assert 'Traceback' not in log, log


def test_second_interrupt_does_not_disturb_the_end(start: Starter) -> None:
    process = start()  # Ctrl-C reaches a launched node from the terminal and again from launch
    process.until_logged('waiting for images on /image')
    process.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 0.5
    while process.process.poll() is None and time.monotonic() < deadline:
        process.process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert process.wait() == 0
    assert 'Traceback' not in process.log.read_text(), process.log.read_text()


@pytest.mark.parametrize('moment', ['libtorch', 'libfastrtps'])
def test_interrupt_while_starting_ends_the_process_with_0(start: Starter, moment: str) -> None:
    process = start()
    mapped = Path(f'/proc/{process.process.pid}/maps')
    until(lambda: moment in mapped.read_text(), f'{moment} is being loaded')
    assert process.end() == 0
    assert 'Traceback' not in process.log.read_text(), process.log.read_text()


def test_interrupt_while_models_load_ends_the_process_with_0(start: Starter) -> None:
    process = start('--log-level', 'rcl:=debug')
    process.until_logged('change_state')  # the node is there; its first timer loads the models
    assert process.end() == 0
    assert 'Traceback' not in process.log.read_text(), process.log.read_text()


def test_malformed_parameter_file_ends_the_process_with_a_sentence(
    start: Starter, tmp_path: Path
) -> None:
    path = tmp_path / 'bad.yaml'
    path.write_text('/**:\n  ros__parameters: [unclosed\n')
    process = start('--params-file', str(path), quick=False)
    assert process.wait() == 2
    log = process.log.read_text()
    assert 'bad.yaml' in log
    assert 'Traceback' not in log, log


def test_unknown_parameter_in_a_file_leaves_the_process_alive(
    start: Starter, tmp_path: Path, peer: Peer
) -> None:
    path = tmp_path / 'parameters.yaml'
    path.write_text('/**:\n  ros__parameters:\n    masks:\n      confidense: 0.3\n')
    process = start('--params-file', str(path))
    process.until_logged("cannot configure: unknown parameter 'masks.confidense'")
    assert "did you mean 'masks.confidence'?" in process.log.read_text()
    assert peer.set('masks.confidence', 0.4, NAME).successful
    assert process.end() == 0
