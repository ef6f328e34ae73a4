"""What is done for all tracks at once is what the library does for each."""

import numpy as np
import pytest

pytest.importorskip('lap', reason='lap is missing: requirements/base.txt')

from ultralytics.trackers.byte_tracker import BYTETracker, STrack
from ultralytics.trackers.utils.kalman_filter import KalmanFilterXYAH

from semantic_fast_sam_ros.core.objects.bytetrack import (
    Boxes,
    StampedByteTrack,
    corrected,
)


def test_corrections_are_those_of_the_filter() -> None:
    random, kalman = np.random.default_rng(3), KalmanFilterXYAH()
    boxes = random.uniform((20, 20, 0.4, 30), (300, 200, 2.0, 90), (7, 4))
    states = [kalman.predict(*kalman.initiate(box)) for box in boxes]
    measured = boxes * random.uniform(0.95, 1.05, boxes.shape)
    means, covariances = corrected(
        np.stack([mean for mean, _ in states]),
        np.stack([covariance for _, covariance in states]),
        measured,
        kalman._std_weight_position,
    )
    for row, state in enumerate(states):
        mean, covariance = kalman.update(*state, measured[row])
        np.testing.assert_allclose(means[row], mean, rtol=1e-9)
        np.testing.assert_allclose(covariances[row], covariance, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('known', [False, True])
def test_corners_are_those_of_the_library(known: bool) -> None:
    box = np.array([50.0, 40.0, 30.0, 20.0, 0.0])
    (ours,) = StampedByteTrack(1.0).init_track(Boxes(box[None, :4], np.array([0.9])))
    theirs = STrack(box, 0.9, 0)
    if known:
        for track in (ours, theirs):
            track.activate(KalmanFilterXYAH(), 1)
    np.testing.assert_allclose(ours.xyxy, theirs.xyxy)
    if known:
        ours.mean = ours.mean + 5
        assert ours.xyxy[0] != pytest.approx(theirs.xyxy[0])


class Library(StampedByteTrack):
    """The same steps of time, all else as the library has it."""

    track_class = STrack
    init_track = BYTETracker.init_track
    _apply_matches = BYTETracker._apply_matches

    def multi_predict(self, tracks: list[STrack]) -> None:
        """Move tracks, one by one."""
        for track in tracks:
            track.kalman_filter = self._motion
            track.predict()
            track.kalman_filter = self.kalman_filter


@pytest.mark.parametrize('seed', range(4))
def test_tracks_are_those_of_the_library(seed: int) -> None:
    random = np.random.default_rng(seed)
    ours, theirs = StampedByteTrack(1.0), Library(1.0)
    places, speeds = random.uniform(50, 400, (12, 2)), random.uniform(-6, 6, (12, 2))
    sides = random.uniform(20, 90, (12, 2))
    for index in range(60):
        seen = random.random(12) > (0.6 if index % 20 > 15 else 0.1)  # gaps, so that some are lost
        centres = places + index * speeds + random.normal(size=(12, 2))
        boxes = Boxes(np.hstack([centres, sides])[seen], random.uniform(0.1, 1.0, seen.sum()))
        step_s = float(random.choice([1 / 30, 1 / 10]))
        found = [
            {t.track_id: (int(t.idx), t.tracklet_len, *t.xyxy) for t in tracks}
            for tracks in (ours.update_after(step_s, boxes), theirs.update_after(step_s, boxes))
        ]
        assert found[0].keys() == found[1].keys()
        for number, told in found[0].items():
            np.testing.assert_allclose(told, found[1][number], rtol=1e-5, atol=1e-3)
        assert ours.remembered == theirs.remembered


def test_a_step_of_one_image_predicts_as_the_library_does() -> None:
    tracker, kalman = StampedByteTrack(1.0), KalmanFilterXYAH()
    tracker.update_after(0.0, Boxes(np.array([[50.0, 40, 30, 20]]), np.array([0.9])))
    (track,) = tracker.tracked_stracks
    mean, covariance = kalman.predict(track.mean, track.covariance)
    tracker._set_step(1.0)
    tracker.multi_predict([track])
    np.testing.assert_allclose(track.mean, mean)
    np.testing.assert_allclose(track.covariance, covariance)
