"""A light node, a viewer of it as a process of its own, and a real browser."""

import os
import shutil
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


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    """Give Debian's chromium, driven by Playwright."""
    playwright = pytest.importorskip(
        'playwright.sync_api', reason='playwright is missing (requirements/test.txt)'
    )
    names = ('chromium', 'chromium-browser', 'google-chrome')
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip('no chromium on this machine (Debian, Ubuntu: apt install chromium)')
    # Chromium's sandbox refuses to run for root, which containers usually are.
    flags = ['--no-sandbox'] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=flags)
        yield opened
        opened.close()
