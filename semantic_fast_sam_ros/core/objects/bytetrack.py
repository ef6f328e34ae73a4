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
    """A track that keeps the corners of its state."""

    mean: Any
    covariance: Any
    _state: Any = None

    def __init__(self, tlwh: NDArray[np.float32], corners: list[float], score: float) -> None:
        """Take a box that was seen: left, top, width and height; left, top, right and bottom."""
        BaseTrack.__init__(self)  # type: ignore[no-untyped-call]
        self._tlwh, self._corners = tlwh, corners
        self.idx = self.cls = self.tracklet_len = 0
        self.score = score  # type: ignore[assignment]
        self.kalman_filter = self.mean = self.covariance = self.angle = None

    @property
    def xyxy(self) -> list[float]:  # type: ignore[override]
        """The left, top, right and bottom."""
        if self._state is not self.mean:  # the library moved it
            self.move_to(self.mean, self.covariance, _corners(self.mean[None])[0])
        return self._corners

    def move_to(self, mean: Floats, covariance: Floats, corners: list[float]) -> None:
        """Take a state, and the corners of its box."""
        self.mean = self._state = mean
        self.covariance, self._corners = covariance, corners

    def see(self, box: 'Track', frame_id: int) -> None:
        """Note which box it is in an image; as STrack's `update` and `re_activate` do."""
        again = self.state != TrackState.Tracked
        self.tracklet_len = 0 if again else self.tracklet_len + 1
        self.state, self.is_activated = TrackState.Tracked, True
        self.frame_id, self.score, self.idx = frame_id, box.score, box.idx


class StampedByteTrack(BYTETracker):
    """ByteTrack whose `frame_id` counts milliseconds, so that what is lost ages by time."""

    track_class = Track  # type: ignore[assignment]

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
        _move(tracks, *self._motion.multi_predict(means, covariances))

    def init_track(self, results: Boxes, img: object = None) -> list[Any]:
        """Return the boxes of an image in the form of tracks."""
        corner = results.xywh[:, :2] - results.xywh[:, 2:] / 2
        tlwh = np.hstack([corner, results.xywh[:, 2:]]).astype(np.float32)
        corners = tlwh.astype(np.float64)
        corners[:, 2:] += corners[:, :2]
        return list(map(Track, tlwh, corners.tolist(), results.conf.tolist()))

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
        _move([t for t, _ in pairs], *corrected(means, covariances, boxes, weight))
        for track, box in pairs:
            (activated if track.state == TrackState.Tracked else refind).append(track)
            track.see(box, self.frame_id)

    def _format_output(self) -> NDArray[np.float32]:
        return np.empty((0, 8), np.float32)  # `update_after` gives the tracks themselves


def _move(tracks: list[Any], means: Floats, covariances: Floats) -> None:
    """Give tracks their states, (N, 8) and (N, 8, 8)."""
    for track, *state in zip(tracks, means, covariances, _corners(means), strict=True):
        track.move_to(*state)


def _corners(means: Floats) -> list[list[float]]:
    """Return left, top, right and bottom of states, (N, 8)."""
    height = means[:, HEIGHT]
    half = np.stack([means[:, 2] * height, height], 1) / 2
    found: list[list[float]] = np.hstack([means[:, :2] - half, means[:, :2] + half]).tolist()
    return found


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
