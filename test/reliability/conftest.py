"""Fixtures of the reliability tests: the real node with tiny networks, and an observer."""

from collections.abc import Callable, Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

import tiny
from harness import Diagnosis, Peer, RunningNode

Starter = Callable[..., RunningNode]


@pytest.fixture(scope='session', name='tiny_models')
def _tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Write a mask and a dense network of a few kilobytes; give the settings that load them."""
    folder = tmp_path_factory.mktemp('tiny')
    return {
        'masks.model': str(tiny.write_fastsam(folder / 'fastsam_tiny.pt')),
        'masks.image_size': 64,
        'masks.max_masks': 10,
        'dense.model': str(tiny.write_segformer(folder / 'segformer_tiny')),
        'dense.image_size': 32,
        'trust_model_files': True,
        'rest_without_subscribers': False,
    }


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Give an observer for one test."""
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def diagnosis(peer: Peer) -> Diagnosis:
    """Give the diagnostics that the observer hears."""
    return Diagnosis(peer)


@pytest.fixture
def start(tiny_models: dict[str, object]) -> Iterator[Starter]:
    """Give a function that starts the node with tiny networks; end it after the test."""
    started: list[RunningNode] = []

    def starter(*arguments: str, **settings: object) -> RunningNode:
        values = {name.replace('.', '__'): value for name, value in tiny_models.items()}
        started.append(RunningNode(*arguments, **(values | settings)))
        return started[-1]

    yield starter
    for running in started:
        running.close()
