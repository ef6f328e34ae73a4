"""A way of labelling in a process of its own: timed by turns with others, its memory its own."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from semantic_fast_sam_ros.core.networks.memory import peak_bytes

Build = Callable[[], Callable[[], Any]]


class Contender:
    """Builds something in a new process and calls it there when asked."""

    def __init__(self, build: Build) -> None:
        """Start the process.

        Args:
            build: returns what is timed; must be importable by its name there.
        """
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def close(self) -> None:
        """End the process."""
        self._connection.send('end')
        self._process.join()

    def wait(self) -> None:
        """Wait until it is built; several build at once."""
        if not self._ready:
            self._answer()
            self._ready = True

    def run(self) -> dict[str, Any]:
        """Call it once: ms, peak_gb so far, and what it returned."""
        self.wait()
        self._connection.send('run')
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._connection.recv()
        except EOFError:
            raise RuntimeError('a contender ended: see its error above') from None
        return answer


def _serve(connection: Connection, build: Build) -> None:
    call = build()
    connection.send({})  # ready
    while connection.recv() == 'run':
        started = time.perf_counter()
        facts = call()
        spent = 1000 * (time.perf_counter() - started)
        connection.send({'ms': spent, 'peak_gb': peak_bytes() / 1e9, 'facts': facts})
