"""A progress line: how far, how fast, how long still."""

import sys
import time
from typing import TextIO

TERMINAL_PERIOD_S, LOG_PERIOD_S = 0.2, 10.0
BAR = 24


class Progress:
    """Writes to a terminal in place, to a log every ten seconds."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        """Begin to count the time."""
        self._name = name
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._begun = self._shown = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._written = False

    def show(self, frames: int, share: float) -> None:
        """Show a count of frames and the share of the work that is done, 0 to 1."""
        now = time.monotonic()
        if self._first is None:
            self._first = (frames - 1, share)  # a resumed run did not begin at nought
        period = TERMINAL_PERIOD_S if self._terminal else LOG_PERIOD_S
        if now - self._shown >= period:
            self._shown = now
            self._print(self._line(frames, share, now - self._begun))

    def finish(self) -> None:
        """End the line."""
        if self._written and self._terminal:
            print(file=self._stream)

    def _line(self, frames: int, share: float, elapsed_s: float) -> str:
        first_frames, first_share = self._first or (0, 0.0)
        rate = (frames - first_frames) / max(elapsed_s, 1e-9)
        gone = share - first_share
        left = duration(elapsed_s * (1 - share) / gone) if gone > 0 else '?'
        bar = '#' * round(BAR * share)
        return (
            f'{self._name} [{bar:<{BAR}}] {100 * share:3.0f} %  {frames} frames  '
            f'{rate:.1f} frames/s  {left} left'
        )

    def _print(self, line: str) -> None:
        self._written = True
        end, start = ('', '\r') if self._terminal else ('\n', '')
        print(f'{start}{line}', end=end, file=self._stream, flush=True)


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss."""
    whole = max(0, round(seconds))
    return f'{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}'
