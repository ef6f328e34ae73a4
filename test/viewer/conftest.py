"""A node, a camera and a viewer as processes, and a real browser that looks at them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE = '/semantic_fast_sam_viewed'
START_S = 300.0  # a busy machine takes minutes to import torch
# The shipped models, small enough for a busy machine.
SETTINGS = {'masks.image_size': 160, 'dense.image_size': 120, 'threads': 1, 'offline': 'true'}


def until(predicate: Callable[[], Any], what: str, timeout_s: float = 120.0) -> Any:
    """Return the predicate's value once it is true; fail with `what` after a deadline."""
    deadline = time.monotonic() + timeout_s
    while not (value := predicate()):
        assert time.monotonic() < deadline, f'not within {timeout_s:.0f} s: {what}'
        time.sleep(0.05)
    return value


class Process:
    """A Python module in a process of its own, its output in a file."""

    def __init__(self, log: Path, *words: str) -> None:
        """Start it."""
        self._log = log
        with log.open('w') as output:
            self._process = subprocess.Popen(
                [sys.executable, '-m', *words],
                cwd=ROOT,
                env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self, pattern: str) -> re.Match[str]:
        """Wait for a pattern in the output; return the match."""

        def look() -> re.Match[str] | None:
            text = self._log.read_text()
            assert self._process.poll() is None, f'the process ended:\n{text}'
            return re.search(pattern, text)

        return until(look, f'{pattern!r} in {self._log}', START_S)

    def end(self) -> int:
        """End it as Ctrl-C would; return the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@pytest.fixture(scope='module')
def viewer_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a viewer of a live node."""
    pytest.importorskip('rclpy', reason='rclpy is missing: run scripts/setup')
    folder = tmp_path_factory.mktemp('viewer')
    given = [word for name, value in SETTINGS.items() for word in ('-p', f'{name}:={value}')]
    topic = '/viewer_test/image'
    node = Process(
        folder / 'node.txt',
        *('semantic_fast_sam_ros.ros.node', '--ros-args', *given),
        *('-r', f'__node:={NODE[1:]}', '-r', f'image:={topic}'),
    )
    command = ('semantic_fast_sam_ros', 'stream', '--loop', '--topic', topic, '--rate', '5')
    camera = Process(folder / 'camera.txt', *command)
    viewer = Process(
        folder / 'viewer.txt', 'semantic_fast_sam_ros', 'view', '--port', '0', '--node', NODE
    )
    try:
        node.said('waiting for images')
        yield viewer.said(r'Viewer: (\S+)')[1]
        assert viewer.end() == 0
    finally:
        for process in (viewer, camera, node):
            process.end()


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    """Give Debian's chromium, driven by Playwright."""
    playwright = pytest.importorskip(
        'playwright.sync_api', reason='playwright is missing (requirements/test.txt)'
    )
    program = shutil.which('chromium') or shutil.which('chromium-browser')
    if program is None:
        pytest.skip('no chromium on this machine (Debian, Ubuntu: apt install chromium)')
    # Chromium's sandbox refuses to run for root, which containers usually are.
    flags = ['--no-sandbox'] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=flags)
        yield opened
        opened.close()
