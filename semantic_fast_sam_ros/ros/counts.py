"""What becomes of frames: every one received is accounted for."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from semantic_fast_sam_ros.core.base.errors import FrameError, NetworkError


class Fate(Enum):
    """The end of a frame; values are the fields of Counts."""

    PROCESSED = 'processed'
    REPLACED = 'replaced'
    STOPPED = 'stopped'
    OLD = 'old'
    IDLE = 'idle'
    SKIPPED = 'skipped'
    REFUSED = 'refused'
    FAILED = 'failed'

    @classmethod
    def of(cls, error: Exception) -> 'Fate':
        """Return the end of a frame that raised: bad input is refused, all else is a failure."""
        bad_input = isinstance(error, FrameError) and not isinstance(error, NetworkError)
        return cls.REFUSED if bad_input else cls.FAILED


DROPPED = (Fate.REPLACED, Fate.STOPPED, Fate.OLD, Fate.IDLE, Fate.SKIPPED)


@dataclass(frozen=True)
class Counts:
    """Frames: received = ended + those waiting or in work."""

    received: int = 0
    processed: int = 0
    refused: int = 0  # bad input: unknown encoding, short data, damaged JPEG
    failed: int = 0  # ended by an unexpected error
    replaced: int = 0  # by a newer one of the same camera
    stopped: int = 0  # there while the node was not active
    old: int = 0  # older than max_age_ms
    idle: int = 0  # nobody subscribed to an output
    skipped: int = 0  # left out to hold target_rate_hz

    @property
    def ended(self) -> int:
        """Frames that are accounted for."""
        return self.processed + self.dropped + self.refused + self.failed

    @property
    def dropped(self) -> int:
        """Frames that were never looked at, for whatever reason."""
        return sum(self.dropped_by_reason.values())

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """Parts of `dropped`."""
        return {fate.value: getattr(self, fate.value) for fate in DROPPED}


class Ledger:
    """Counts frames a camera; not for several threads at once."""

    def __init__(self) -> None:
        """Start at zero."""
        self._received: Counter[str] = Counter()
        self._ended: Counter[tuple[str, Fate]] = Counter()

    def receive(self, camera: str) -> None:
        """Count a frame in."""
        self._received[camera] += 1

    def end(self, camera: str, fate: Fate) -> None:
        """Count a frame's end."""
        self._ended[camera, fate] += 1

    def of(self, camera: str) -> Counts:
        """Return the counts of one camera."""
        return _counts(self._received[camera], {f: self._ended[camera, f] for f in Fate})

    def total(self) -> Counts:
        """Return the counts of all cameras."""
        ended: Counter[Fate] = Counter()
        for (_, fate), count in self._ended.items():
            ended[fate] += count
        return _counts(self._received.total(), ended)


def _counts(received: int, ended: Mapping[Fate, int]) -> Counts:
    return Counts(received, **{fate.value: ended[fate] for fate in Fate if fate in ended})
