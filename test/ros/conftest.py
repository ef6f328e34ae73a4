"""Fixtures of the ROS tests: an observer, and the node as a process shared by a module."""

from collections.abc import Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from harness import Diagnosis, NodeProcess, Peer


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


@pytest.fixture(scope='module')
def active_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Give the node in a process of its own, active, with a remapped input."""
    log = tmp_path_factory.mktemp('node') / 'log.txt'
    running = NodeProcess(log, '-r', 'image:=/cam/image_raw')
    try:
        running.until_logged('waiting for images on /cam/image_raw')
        yield running
    finally:
        running.close()
