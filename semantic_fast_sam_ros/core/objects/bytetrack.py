"""ByteTrack by stamps: ultralytics' tracker, whose clock otherwise counts images.

ByteTrack (Zhang et al., ECCV 2022) joins boxes to tracks by how much they overlap where a Kalman
filter expects them, the sure ones first. ultralytics' form is here already, for the mask network;
Roboflow's `trackers` would bring supervision and an OpenCV that needs a desktop's libraries.
Imported only where things are tracked.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.trackers.basetrack import TrackState
from ultralytics.trackers.byte_tracker import BYTETracker
from ultralytics.trackers.utils.kalman_filter import KalmanFilterXYAH

FILTER_HZ = 30.0  # images a second that the filter's noise was chosen for
VERTICAL_SPEED = 7  # of the filter's state: how fast the height grows
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

    xywh: NDArray[np.float64]  # (N, 4) centre and size, pixels
    conf: NDArray[np.float64]  # (N,) scores in [0, 1]

    @property
    def cls(self) -> NDArray[np.float64]:
        """What the tracker carries along as the class: nothing, as names may change."""
        return self.conf

    def __len__(self) -> int:
        return len(self.xywh)

    def __getitem__(self, index: NDArray[np.bool_]) -> 'Boxes':
        return Boxes(self.xywh[index], self.conf[index])


class StampedByteTrack(BYTETracker):
    """ByteTrack whose `frame_id` counts milliseconds, so that what is lost ages by time."""

    def __init__(self, keep_s: float) -> None:
        """Begin without tracks; what is not seen for longer than `keep_s` is given up."""
        settings = SimpleNamespace(track_buffer=round(1000 * keep_s), **SETTINGS)
        super().__init__(settings)  # type: ignore[no-untyped-call]
        self._motion = KalmanFilterXYAH()  # type: ignore[no-untyped-call]

    def update_after(self, seconds: float, boxes: Boxes) -> list[Any]:
        """Join the boxes of the next image to tracks.

        Args:
            seconds: since the image before; of the first image, whatever.
            boxes: of things.

        Returns:
            the confirmed tracks that are seen, each with `track_id` and the row `idx`.
        """
        if self.frame_id:
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
        fresh = self.kalman_filter
        motion = self._motion
        motion._motion_mat[range(4), range(4, 8)] = images
        # Noise of independent steps adds up by squares.
        motion._std_weight_position = fresh._std_weight_position * images**0.5
        motion._std_weight_velocity = fresh._std_weight_velocity * images**0.5
