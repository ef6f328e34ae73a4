"""Lifecycle transitions in every order, again and again, without growth."""

import gc
import itertools
from collections.abc import Callable

import psutil
import pytest
from harness import RunningNode
from rclpy.lifecycle import TransitionCallbackReturn

from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

Starter = Callable[..., RunningNode]
ROUNDS = 50
WARM_UP_ROUNDS = 10  # caches of torch and of the allocator fill meanwhile
GROWTH_BYTES = 32 << 20  # 0.6 megabytes a round; the heap of a long test run grows by itself
# One a round would be ROUNDS of them. The middleware opens a socket or a thread by itself.
GROWTH_HANDLES = ROUNDS // 10
# From (state, transition) to state; what is not here is refused and changes nothing.
ALLOWED = {
    ('unconfigured', 'configure'): 'inactive',
    ('inactive', 'activate'): 'active',
    ('active', 'deactivate'): 'inactive',
    ('inactive', 'cleanup'): 'unconfigured',
}
TRANSITIONS = ('configure', 'activate', 'deactivate', 'cleanup')
EVERY_ORDER = list(itertools.product(TRANSITIONS, repeat=3))


class Walk:
    """A node that is taken through transitions."""

    def __init__(self, running: RunningNode) -> None:
        self.node = running.node
        self.state = 'unconfigured'

    def take(self, transition: str) -> None:
        """Ask for a transition; check the answer and the state that follows."""
        allowed = (self.state, transition) in ALLOWED
        assert self._asked(transition) == allowed, (self.state, transition)
        self.state = ALLOWED.get((self.state, transition), self.state)
        assert self.node._state() == self.state

    def _asked(self, transition: str) -> bool:
        try:
            answer = getattr(self.node, f'trigger_{transition}')()
        except Exception as error:
            assert 'Transition is not registered' in str(error), error
            return False
        return answer == TransitionCallbackReturn.SUCCESS


@pytest.fixture
def walk(start: Starter) -> Walk:
    """Give an unconfigured node."""
    return Walk(start(autostart=False))


def test_every_order_of_three_transitions_is_taken_or_refused(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = SemanticFastSam(walk.node._settings.current)
    loaded.warm_up()
    monkeypatch.setattr('semantic_fast_sam_ros.ros.node.SemanticFastSam', lambda *_: loaded)
    monkeypatch.setattr(loaded, 'warm_up', lambda: None)
    monkeypatch.setattr('semantic_fast_sam_ros.ros.node.free_memory', lambda: None)
    for order in EVERY_ORDER:
        for transition in order:
            walk.take(transition)
    assert len(EVERY_ORDER) == 64


@pytest.mark.timeout(600)
def test_fifty_lives_leave_no_memory_threads_or_files_behind(walk: Walk) -> None:
    process = psutil.Process()
    before = None
    for number in range(WARM_UP_ROUNDS + ROUNDS):
        if number == WARM_UP_ROUNDS:
            before = resources(process)
        for transition in ('configure', 'activate', 'deactivate', 'activate', 'deactivate'):
            walk.take(transition)
        walk.take('cleanup')
    assert before is not None
    after = resources(process)
    assert after['threads'] - before['threads'] < GROWTH_HANDLES, (before, after)
    assert after['files'] - before['files'] < GROWTH_HANDLES, (before, after)
    assert after['bytes'] - before['bytes'] < GROWTH_BYTES, (before, after)


def resources(process: psutil.Process) -> dict[str, int]:
    """Return what a process holds."""
    gc.collect()
    return {
        'threads': process.num_threads(),
        'files': process.num_fds(),
        'bytes': process.memory_info().rss,
    }
