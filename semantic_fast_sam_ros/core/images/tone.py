"""16-bit images as 8-bit ones: scaled by what the camera uses of its 16 bits.

Drivers put 10, 12 or 14 bits into 16, and thermal cameras use a narrow part of them: the upper
byte of such images is nearly black, or has a few grey levels.
"""

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings.node import AUTO, FULL, WINDOW, fixed_bits

DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras have
VALUES = 1 << 16
HIGHEST = 99.9  # percentile that the bits have to hold: a few hot pixels do not count
EDGES = (0.1, 99.9)  # percentiles that a window spans
SAMPLES = 1 << 16  # values that percentiles are taken of
NARROW, WIDE = 1 / 4, 1 / 2  # share of the bits used, below and above which auto changes
STEP = 0.1  # by which the window of a steady camera follows, an image
FEW_LEVELS, MOST = 24, (1, 99)  # grey levels that most of an image has to span, not to be told


class ToneMapper:
    """Maps the 16-bit images of one camera to 8 bits, and remembers what they used.

    So that a live picture does not flicker, what counts as used only grows, and a window follows
    the scene slowly. Images that stand for themselves take a new one each.
    """

    def __init__(self, mode: str = AUTO) -> None:
        """Take one of the values of `input.mono16`."""
        self.mode = mode
        self.warning = ''  # of the last image: that it is nearly black, or all of one grey
        self._forget()

    def _forget(self) -> None:
        self._mode_seen, self._bits = self.mode, DEPTHS[0]
        self._window: NDArray[np.float64] | None = None
        self._used = float(VALUES), 0.0  # lowest and highest value so far, but for hot pixels

    def __call__(self, values: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Return the image in 8 bits: any shape, one scale for all channels."""
        if self.mode != self._mode_seen:
            self._forget()
        sample = _sample(values)
        table = self._table(sample)
        self.warning = self._told(sample, table)
        return table.take(values)

    def _table(self, sample: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Return the grey level of each of the 65536 values."""
        if self.mode == FULL:
            return _shifted(16)
        if (bits := fixed_bits(self.mode)) is not None:
            return _shifted(bits)
        self._bits = max(self._bits, _bits(float(np.percentile(sample, HIGHEST))))
        window = self._followed(sample)
        return _shifted(self._bits) if window is None else _stretched(*window)

    def _followed(self, sample: NDArray[np.uint16]) -> NDArray[np.float64] | None:
        """Return the lowest and highest value that is to be seen; None: all that the bits hold."""
        measured = sample[(sample > 0) & (sample < VALUES - 1)]  # not: nothing there, saturated
        found = np.percentile(measured if measured.size else sample, EDGES)
        self._used = min(self._used[0], found[0]), max(self._used[1], found[1])
        limit = NARROW if self._window is None else WIDE
        if self.mode == AUTO and self._used[1] - self._used[0] >= limit * (1 << self._bits):
            self._window = None
        elif self._window is None:
            self._window = found
        else:
            self._window = self._window + STEP * (found - self._window)
        return self._window

    def _told(self, sample: NDArray[np.uint16], table: NDArray[np.uint8]) -> str:
        darkest, brightest = np.percentile(table.take(sample), MOST)
        if brightest - darkest >= FEW_LEVELS:
            return ''
        low, high = np.percentile(sample, EDGES)
        return (
            f'16-bit images are nearly of one grey ({darkest:.0f} to {brightest:.0f} of 255): '
            f'their values are {low:.0f} to {high:.0f} of 65535 and input.mono16 is {self.mode}'
            + ('' if self.mode in (AUTO, WINDOW) else '; auto would spread them')
        )


def _sample(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return values spread evenly over the image; the step is odd, not to meet one column only."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLES) | 1]


def _bits(value: float) -> int:
    return next(bits for bits in DEPTHS if value < 1 << bits)


def _shifted(bits: int) -> NDArray[np.uint8]:
    """Return the table that keeps the upper eight of so many bits."""
    values = np.minimum(np.arange(VALUES), (1 << bits) - 1)
    return (values >> (bits - 8)).astype(np.uint8)


def _stretched(low: float, high: float) -> NDArray[np.uint8]:
    """Return the table that spreads a window over the grey levels, at most one a value."""
    half = max(high - low, 255.0) / 2
    middle = (low + high) / 2
    levels = np.interp(np.arange(VALUES), [middle - half, middle + half], [0, 255])
    return np.round(levels).astype(np.uint8)
