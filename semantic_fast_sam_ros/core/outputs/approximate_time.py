"""What came nearest in time to a frame, of a stream that runs beside the camera's."""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar('Item')
KEPT = 10  # newest items, whatever their stamps


@dataclass(frozen=True)
class Match(Generic[Item]):
    """The nearest item so far."""

    item: Item
    apart_ns: int  # its stamp less the frame's
    settled: bool  # no item that is still to come will be nearer


class NearestInTime(Generic[Item]):
    """Keeps a few items by their stamps; not for two threads at once.

    As message_filters' approximate time, for frames that take longer to work on than the stream
    is kept: the one that suits the frame in work is held back until that frame is done.
    """

    def __init__(self) -> None:
        self._items: deque[tuple[int, Item]] = deque(maxlen=KEPT)
        self._expected_ns = 0
        self._held: tuple[int, Item] | None = None  # the nearest to the expected stamp

    def expect(self, stamp_ns: int) -> None:
        """Hold back what is nearest to a stamp from now on, until the next one is expected."""
        self._expected_ns = stamp_ns
        self._held = self._nearest(stamp_ns)

    def add(self, stamp_ns: int, item: Item) -> None:
        """Take in an item of the stream, in the order of arrival."""
        self._items.append((stamp_ns, item))
        held = self._held
        if held is None or abs(stamp_ns - self._expected_ns) < abs(held[0] - self._expected_ns):
            self._held = (stamp_ns, item)

    def find(self, stamp_ns: int) -> Match[Item] | None:
        """Return the item nearest to a stamp; None if there is none at all."""
        nearest = self._nearest(stamp_ns)
        if nearest is None:
            return None
        settled = nearest[0] == stamp_ns or self._items[-1][0] >= stamp_ns
        return Match(nearest[1], nearest[0] - stamp_ns, settled)

    def _nearest(self, stamp_ns: int) -> tuple[int, Item] | None:
        candidates = [*self._items, *([self._held] if self._held else [])]
        return min(candidates, key=lambda c: abs(c[0] - stamp_ns), default=None)
