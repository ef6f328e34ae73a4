"""Programs as processes of their own, a viewer among them, and waiting for what they do."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NODE = '/semantic_fast_sam_viewed'
START_S = 300.0  # a busy machine takes minutes to import torch


def until(predicate: Callable[[], Any], what: str, timeout_s: float = 120.0) -> Any:
    """Return the predicate's value once it is true; fail with `what` after a deadline."""
    deadline = time.monotonic() + timeout_s
    while not (value := predicate()):
        assert time.monotonic() < deadline, f'not within {timeout_s:.0f} s: {what}'
        time.sleep(0.05)
    return value


class Process:
    """A Python program in a process of its own, its output in a file."""

    def __init__(self, log: Path, *words: str) -> None:
        """Start it."""
        self._log = log
        with log.open('w') as output:
            self._process = subprocess.Popen(
                [sys.executable, *words],
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


@contextmanager
def serving(log: Path, node: str) -> Iterator[str]:
    """Serve a node by its name in a process of its own; give the address."""
    command = ('-m', 'semantic_fast_sam_ros', 'view', '--port', '0', '--node', node)
    viewer = Process(log, *command)
    try:
        yield viewer.said(r'Viewer: (\S+)')[1]
        assert viewer.end() == 0, log.read_text()
    finally:
        viewer.end()
