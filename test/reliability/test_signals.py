"""SIGINT and SIGTERM end the process with exit code 0, whatever it does at the time."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faults
import pytest
from forked import ForkedNode
from harness import QUICK, Peer, photo_message, text
from lifecycle_msgs.msg import State, Transition

Starter = Callable[..., ForkedNode]
NAMESPACE = '/signals'
NODE = f'{NAMESPACE}/semantic_fast_sam'
SIGNALS = pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['INT', 'TERM'])
# The transitions that lead to a state from unconfigured.
PATHS = {
    'unconfigured': (),
    'inactive': (Transition.TRANSITION_CONFIGURE,),
    'active': (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE),
    'finalized': (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,),
}
RANDOM_MOMENTS = 10
START_S = 2.0  # a start takes about so long; some signals are to come later


@pytest.fixture
def start(tmp_path: Path, tiny_models: dict[str, object]) -> Iterator[Starter]:
    """Give a function that starts a node's process with tiny networks."""
    started: list[ForkedNode] = []

    def starter(fault: Callable[[], None] | None = None, autostart: bool = True) -> ForkedNode:
        settings = QUICK | tiny_models | {'autostart': autostart}
        given = [word for k, v in settings.items() for word in ('-p', f'{k}:={text(v)}')]
        log = tmp_path / f'log{len(started)}.txt'
        started.append(ForkedNode(log, ['-r', f'__ns:={NAMESPACE}', *given], fault))
        return started[-1]

    yield starter
    for process in started:
        process.close()


def assert_ends(process: ForkedNode, number: int) -> None:
    assert process.end(number) == 0, process.text()
    assert 'Traceback' not in process.text(), process.text()


@SIGNALS
@pytest.mark.parametrize('state', PATHS)
def test_signal_ends_the_process_in_every_state(
    start: Starter, peer: Peer, state: str, number: int
) -> None:
    process = start(autostart=False)
    assert peer.state(NODE) == State.PRIMARY_STATE_UNCONFIGURED
    for transition in PATHS[state]:
        assert peer.change(transition, NODE)
    assert_ends(process, number)


@SIGNALS
def test_signal_ends_the_process_while_models_load(start: Starter, number: int) -> None:
    process = start(faults.endless_load)
    process.until_logged(faults.LOADING)
    assert_ends(process, number)


@SIGNALS
@pytest.mark.parametrize('fault', [faults.long_frame, faults.endless_frame])
def test_signal_ends_the_process_while_an_image_is_labelled(
    start: Starter, peer: Peer, fault: Callable[[], None], number: int
) -> None:
    process = start(fault)
    camera = peer.camera(f'{NAMESPACE}/image')
    peer.feed(camera, photo_message(), lambda: faults.LABELLING in process.text())
    assert_ends(process, number)


@pytest.mark.timeout(300)
def test_signal_ends_the_process_at_any_moment(start: Starter) -> None:
    dice = random.Random(5)
    for _ in range(RANDOM_MOMENTS):
        process = start()
        time.sleep(dice.uniform(0, START_S))  # the moment is the case that is tried
        assert_ends(process, dice.choice((signal.SIGINT, signal.SIGTERM)))
