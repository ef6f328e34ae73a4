"""The numbers of tracks: rising, and none given twice before all are used up."""

import threading
from collections.abc import Iterable

# 16 bits hold a mask id. Hydra's packed form leaves their highest bit free, so tracks have the
# lower half; masks without a track get numbers of the upper half, which mean one image only.
LAST_TRACK = 32767


class TrackIds:
    """Hands numbers out; cameras that share one never have the same number."""

    def __init__(self, last: int = LAST_TRACK) -> None:
        """Begin at 1 and go up to `last`, then again from 1."""
        self._last, self._newest = last, 0
        self._live: set[int] = set()
        self._lock = threading.Lock()
        self.begun_again = False

    def take(self) -> int:
        """Return the next number that no track has; 0 where all are in use."""
        with self._lock:
            if len(self._live) == self._last:
                return 0
            number = self._following(self._newest)
            while number in self._live:
                number = self._following(number)
            self._newest = number
            self._live.add(number)
            return number

    def give_back(self, numbers: Iterable[int]) -> None:
        """Say that tracks are over."""
        with self._lock:
            self._live.difference_update(numbers)

    @property
    def notice(self) -> str:
        """What is to be said of the numbers; '' where each still means one object."""
        if not self.begun_again:
            return ''
        return (
            f'more than {self._last} objects were tracked: their numbers began again at 1, '
            'without those in use'
        )

    def _following(self, number: int) -> int:
        if number < self._last:
            return number + 1
        self.begun_again = True
        return 1
