"""ByteTrack by stamps: ultralytics' tracker, whose clock otherwise counts images.

ByteTrack (Zhang et al., ECCV 2022) joins boxes to tracks by how much they overlap where a Kalman
filter expects them, the sure ones first. ultralytics' form is here already, for the mask network;
Roboflow's `trackers` would bring supervision and an OpenCV that needs a desktop's libraries. What
it does for each object by itself is done here for all at once, to the same numbers.

Imported only where things are tracked.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.trackers.basetrack import BaseTrack, TrackState
from ultralytics.trackers.byte_tracker import BYTETracker, STrack
from ultralytics.trackers.utils.kalman_filter import KalmanFilterXYAH

Floats = NDArray[np.float64]

FILTER_HZ = 30.0  # images a second that the filter's noise was chosen for
ASPECT_STD = 0.1  # of a measured aspect ratio, as the filter has it
HEIGHT, VERTICAL_SPEED = 3, 7  # in the filter's state: the height, and how fast it grows
SETTINGS = {
    'track_high_thresh': 0.25,  # scores from here on are joined first,
    'track_low_thresh': 0.1,  # and then those from here on
    'new_track_thresh': 0.25,  # a score that begins a track
    'match_thresh': 0.8,  # overlap times score is at least 1 less this
    'fuse_score': True,
}


@dataclass(frozen=True)
class Boxes:
    """Detections in the form that the tracker takes; rows belong together."""

    xywh: Floats  # (N, 4) centre and size, pixels
    conf: Floats  # (N,) scores in [0, 1]

    @property
    def cls(self) -> Floats:
        """What the tracker carries along as the class: nothing, as names may change."""
        return self.conf

    def __len__(self) -> int:
        return len(self.xywh)

    def __getitem__(self, index: NDArray[np.bool_]) -> 'Boxes':
        return Boxes(self.xywh[index], self.conf[index])


class Track(STrack):
    """A track that works its corners out once for each of its states."""

    _state: Any = None
    _corners: tuple[float, ...] = ()

    def __init__(self, xywh: Floats, score: float, cls: float) -> None:
        """Take a box that was seen: centre, size and its row."""
        BaseTrack.__init__(self)  # type: ignore[no-untyped-call]
        x, y, width, height, row = xywh.tolist()
        self.idx = int(row)
        corner = x - width / 2, y - height / 2
        self._tlwh = np.array([*corner, width, height], np.float32)
        self.cls, self.tracklet_len = cls, 0
        self.score = score  # type: ignore[assignment]
        self.kalman_filter = self.mean = self.covariance = self.angle = None

    @property
    def xyxy(self) -> tuple[float, ...]:  # type: ignore[override]
        """The left, top, right and bottom."""
        if self.mean is None:
            left, top, width, height = self._tlwh.tolist()
            return left, top, left + width, top + height
        if self._state is not self.mean:
            x, y, aspect, height = self.mean[:4].tolist()
            half = aspect * height / 2
            self._corners = (x - half, y - height / 2, x + half, y + height / 2)
            self._state = self.mean
        return self._corners


@dataclass(frozen=True)
class _Corrected:
    """In place of a filter: what it would say of the one track that it is for."""

    answer: tuple[Floats, Floats]

    def update(self, *_: object) -> tuple[Floats, Floats]:
        return self.answer


class StampedByteTrack(BYTETracker):
    """ByteTrack whose `frame_id` counts milliseconds, so that what is lost ages by time."""

    track_class = Track

    def __init__(self, keep_s: float) -> None:
        """Begin without tracks; what is not seen for longer than `keep_s` is given up."""
        settings = SimpleNamespace(track_buffer=round(1000 * keep_s), **SETTINGS)
        super().__init__(settings)  # type: ignore[no-untyped-call]
        self._motion = KalmanFilterXYAH()  # type: ignore[no-untyped-call]
        self.frame_id = 1  # of the first image all tracks would be confirmed at once

    def update_after(self, seconds: float, boxes: Boxes) -> list[Any]:
        """Join the boxes of the next image to tracks.

        Args:
            seconds: since the image before; for the first image, whatever.
            boxes: of things.

        Returns:
            the confirmed tracks that are seen, each with `track_id` and the row `idx`.
        """
        self.frame_id += max(1, round(1000 * seconds)) - 1  # `update` adds one
        self._set_step(seconds * FILTER_HZ)
        self.update(boxes)
        return [track for track in self.tracked_stracks if track.is_activated]

    @property
    def remembered(self) -> set[int]:
        """The `track_id` of all tracks that may be seen again."""
        return {track.track_id for track in (*self.tracked_stracks, *self.lost_stracks)}

    def multi_predict(self, tracks: list[Any]) -> None:
        """Move tracks to where they are expected now."""
        if not tracks:
            return
        means = np.stack([track.mean for track in tracks])
        covariances = np.stack([track.covariance for track in tracks])
        lost = np.array([track.state != TrackState.Tracked for track in tracks])
        means[lost, VERTICAL_SPEED] = 0
        moved = self._motion.multi_predict(means, covariances)
        for track, mean, covariance in zip(tracks, *moved, strict=True):
            track.mean, track.covariance = mean, covariance

    def _set_step(self, images: float) -> None:
        """Let the next prediction reach so many images of FILTER_HZ ahead."""
        fresh, motion = self.kalman_filter, self._motion
        motion._motion_mat[range(4), range(4, 8)] = images
        # Noise of independent steps adds up by squares.
        motion._std_weight_position = fresh._std_weight_position * images**0.5
        motion._std_weight_velocity = fresh._std_weight_velocity * images**0.5

    def _apply_matches(
        self,
        matches: Any,
        pool: list[Any],
        detections: list[Any],
        activated: list[Any],
        refind: list[Any],
    ) -> None:
        """Let tracks take their boxes, all corrections in one go."""
        pairs = [(pool[i], detections[j]) for i, j in matches]
        if not pairs:
            return
        boxes = np.stack([box._tlwh for _, box in pairs]).astype(np.float64)
        boxes[:, :2] += boxes[:, 2:] / 2
        boxes[:, 2] /= boxes[:, 3]
        means = np.stack([track.mean for track, _ in pairs])
        covariances = np.stack([track.covariance for track, _ in pairs])
        weight = self.kalman_filter._std_weight_position
        found = corrected(means, covariances, boxes, weight)
        for (track, _), *answer in zip(pairs, *found, strict=True):
            track.kalman_filter = _Corrected((answer[0], answer[1]))
        super()._apply_matches(matches, pool, detections, activated, refind)
        for track, _ in pairs:
            track.kalman_filter = self.kalman_filter

    def _format_output(self) -> NDArray[np.float32]:
        return np.empty((0, 8), np.float32)  # `update_after` gives the tracks themselves


def corrected(
    means: Floats, covariances: Floats, measured: Floats, weight: float
) -> tuple[Floats, Floats]:
    """Return the states of N tracks after a measurement, as KalmanFilterXYAH's `update` does.

    Args:
        means: (N, 8) centre x and y, aspect ratio, height, and their speeds.
        covariances: (N, 8, 8) of these.
        measured: (N, 4) centre, aspect ratio and height.
        weight: standard deviation of what is measured, of the height.
    """
    stds = np.repeat(weight * means[:, HEIGHT, None], 4, axis=1)
    stds[:, 2] = ASPECT_STD
    expected = covariances[:, :4, :4] + stds[:, :, None] ** 2 * np.eye(4)
    gain = np.linalg.solve(expected, covariances[:, :4, :]).transpose(0, 2, 1)
    change = np.einsum('nij,nj->ni', gain, measured - means[:, :4])
    return means + change, covariances - gain @ expected @ gain.transpose(0, 2, 1)
