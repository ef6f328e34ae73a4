"""A light node, and a viewer of it as a process of its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from viewing import NODE, serving


@pytest.fixture(scope='module')
def node() -> Iterator[Any]:
    """Give a light node with the real one's interfaces, active."""
    pytest.importorskip('rclpy', reason='rclpy is missing: run scripts/setup')
    from stand_in import RunningStandIn

    running = RunningStandIn(NODE[1:])
    yield running
    running.close()


@pytest.fixture(scope='module')
def viewer_url(node: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a viewer of that node."""
    with serving(tmp_path_factory.mktemp('viewer') / 'log.txt', NODE) as url:
        yield url
