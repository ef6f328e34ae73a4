"""Things that keep their number from image to image of a camera."""

import importlib.util
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.track_ids import LAST_TRACK, TrackIds
from semantic_fast_sam_ros.core.settings import things
from semantic_fast_sam_ros.core.settings.things import THING

if TYPE_CHECKING:
    from semantic_fast_sam_ros.core.objects.bytetrack import StampedByteTrack

SHORTEST_S = 1 / 30  # taken to lie between images whose stamps do not rise


@dataclass(frozen=True)
class Things:
    """What is tracked of an image: its masks of things, all that ~/detections tells of them."""

    rows: NDArray[np.int64]  # (N,) of the image's masks
    centres: NDArray[np.float64]  # (N, 2) x y, pixels
    sizes: NDArray[np.float64]  # (N, 2) width and height
    scores: NDArray[np.float64]  # (N,) of the first class


def things_of(result: SegmentationResult) -> Things:
    """Return the masks whose first class is one of things."""
    table = things.kinds(result.vocabulary)
    kinds = table[np.minimum(result.class_ids, len(table) - 1)]
    named = (kinds >= 0) & (result.class_scores > 0)
    first = (np.arange(len(named)), named.argmax(1))
    rows = np.flatnonzero(named.any(1) & (kinds[first] == THING))
    first = (rows, first[1][rows])
    boxes, corners = result.boxes[rows], result.boxes[rows].astype(np.float64)
    return Things(
        rows,
        (corners[:, :2] + corners[:, 2:]) / 2,
        (boxes[:, 2:] - boxes[:, :2]).astype(np.float64),
        result.class_scores[first].astype(np.float64),
    )


class ObjectTracker:
    """The tracks of one camera. Not for two threads at once."""

    def __init__(self, ids: TrackIds, keep_s: float) -> None:
        """Begin without tracks.

        Args:
            ids: where new tracks get their numbers from.
            keep_s: a thing that is not seen for longer is another one when it comes back.

        Raises:
            ConfigError: a library is missing.
        """
        things.shipped()  # read now, not in the first image
        self._ids, self._keep_s = ids, keep_s
        self._method = _bytetrack(keep_s)
        self._numbers: dict[int, int] = {}  # the method's own ids -> numbers
        self._newest_ns: int | None = None
        self._pauses = 0  # in a row

    def update(self, result: SegmentationResult, stamp_ns: int) -> SegmentationResult:
        """Return the result with lasting mask ids for things that were seen at least twice.

        Things get numbers of `TrackIds`, up to LAST_TRACK. All other masks get larger ones, which
        mean this image only; `tracked` tells which is which.

        Args:
            result: of the camera's next image.
            stamp_ns: when it was taken. After a pause of more than `keep_s`, or a jump back by
                as much, all things are new ones.
        """
        count = len(result.mask_ids)
        numbers = np.arange(LAST_TRACK + 1, LAST_TRACK + 1 + count).astype(np.uint16)
        for row, number in self.follow(things_of(result), stamp_ns).items():
            numbers[row] = number
        renamed = np.zeros(int(result.mask_ids.max(initial=0)) + 1, np.uint16)
        renamed[result.mask_ids] = numbers
        return replace(
            result,
            mask_ids=numbers,
            instances=renamed.take(result.instances, mode='wrap'),  # twice as fast as an index
            tracked=numbers <= LAST_TRACK,
        )

    def follow(self, seen: Things, stamp_ns: int) -> dict[int, int]:
        """Return the number of each row that has a track, of the camera's next image."""
        from semantic_fast_sam_ros.core.objects.bytetrack import Boxes

        boxes = Boxes(np.hstack([seen.centres, seen.sizes]), seen.scores)
        elapsed_s = self._elapsed_s(stamp_ns)  # which may forget all tracks
        tracks = self._method.update_after(elapsed_s, boxes)
        found = {}
        for track in tracks:
            number = self._numbers.get(track.track_id) or self._ids.take()
            if number:
                self._numbers[track.track_id] = number
                found[int(seen.rows[int(track.idx)])] = number
        self._release(self._numbers.keys() - self._method.remembered)
        return found

    @property
    def notice(self) -> str:
        """Why nothing can be tracked; '' if it can."""
        if self._pauses < 2:
            return ''
        return (
            f'images come more than objects.track_keep_s ({self._keep_s:g} s) apart: no thing is '
            'followed from one to the next'
        )

    def close(self) -> None:
        """Give up all tracks."""
        self._release(set(self._numbers))
        self._method = _bytetrack(self._keep_s)

    def _elapsed_s(self, stamp_ns: int) -> float:
        """Return the time since the image before; forget all tracks where that says too little."""
        before, self._newest_ns = self._newest_ns, stamp_ns
        seconds = 0.0 if before is None else (stamp_ns - before) / 1e9
        self._pauses = self._pauses + 1 if abs(seconds) > self._keep_s else 0
        if self._pauses:
            self.close()
        return seconds if seconds > 0 else SHORTEST_S

    def _release(self, gone: set[int]) -> None:
        self._ids.give_back(self._numbers.pop(own) for own in gone)


def _bytetrack(keep_s: float) -> 'StampedByteTrack':
    for library in ('ultralytics', 'lap'):
        if importlib.util.find_spec(library) is None:
            raise ConfigError(
                f'tracking needs the library {library}: install what is in requirements/'
            )
    from semantic_fast_sam_ros.core.objects.bytetrack import StampedByteTrack

    return StampedByteTrack(keep_s)
