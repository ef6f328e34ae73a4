"""Things keep their number while they are seen, whatever the rate; nothing else has one."""

import numpy as np
import pytest

pytest.importorskip('lap', reason='lap is missing: requirements/base.txt')

from scenes_of_boxes import Box, result_of

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.track_ids import LAST_TRACK, TrackIds
from semantic_fast_sam_ros.core.objects.tracks import ObjectTracker

START_NS, SECOND_NS = 1_700_000_000_000_000_000, 10**9
ROAD = ('road', (0.0, 60.0, 200.0, 120.0))


def car(left: float, top: float = 20.0) -> tuple[str, Box]:
    return 'car', (left, top, left + 40, top + 24)


class Video:
    """A camera's tracker, and the time of its newest image."""

    def __init__(self, ids: TrackIds | None = None, keep_s: float = 1.0) -> None:
        self.tracker = ObjectTracker(ids or TrackIds(), keep_s)
        self.stamp_ns = START_NS

    def next(
        self, *masks: tuple[str, Box], after_s: float = 0.1, **how: object
    ) -> SegmentationResult:
        """Return what the tracker makes of the next image."""
        self.stamp_ns += round(after_s * SECOND_NS)
        return self.tracker.update(result_of(masks, **how), self.stamp_ns)  # type: ignore[arg-type]

    def number(self, *masks: tuple[str, Box], after_s: float = 0.1) -> int:
        """Return the id of the first mask of the next image."""
        return int(self.next(*masks, after_s=after_s).mask_ids[0])


def test_things_that_move_keep_their_ids_and_stuff_has_none() -> None:
    video = Video()
    video.next(ROAD, car(0), car(150, 70))
    for step in range(1, 12):
        found = video.next(ROAD, car(3 * step), car(150 - 4 * step, 70))
        assert found.mask_ids[1:].tolist() == [1, 2]
        assert found.mask_ids[0] > LAST_TRACK
        assert found.tracked.tolist() == [False, True, True]


def test_order_of_masks_and_class_do_not_matter() -> None:
    video = Video()
    for _ in range(2):
        video.next(car(20), ('person', (120, 30, 140, 80)))
    found = video.next(('car', (121, 31, 141, 81)), car(22))
    assert found.mask_ids.tolist() == [2, 1]


def test_instances_carry_the_ids_of_the_masks() -> None:
    video = Video()
    before = result_of([ROAD, car(20), ('', (150, 10, 160, 20))])
    for _ in range(2):
        found = video.next(ROAD, car(20), ('', (150, 10, 160, 20)))
    for old, new in zip(before.mask_ids, found.mask_ids, strict=True):
        np.testing.assert_array_equal(found.instances == new, before.instances == old)
    np.testing.assert_array_equal(found.instances == 0, before.instances == 0)
    assert len(set(found.mask_ids.tolist())) == 3


def test_a_thing_has_a_lasting_id_from_the_second_time_on() -> None:
    video = Video()
    assert video.number(car(20)) > LAST_TRACK
    once, again, then = (video.next(car(20), car(120, 80)).mask_ids for _ in range(3))
    assert once[0] == 1 and once[1] > LAST_TRACK
    assert again.tolist() == then.tolist() == [1, 2]


def test_masks_without_a_sure_name_have_no_track() -> None:
    video = Video()
    for _ in range(3):
        found = video.next(car(20), ('', (100, 20, 140, 44)), car(20, 80), scores=[0.9, 0, 0.05])
    assert found.tracked.tolist() == [True, False, False]


def test_an_image_without_masks_is_one_without_tracks() -> None:
    video = Video()
    for _ in range(2):
        video.next(car(20))
    empty = video.next()
    assert (len(empty.mask_ids), empty.instances.max()) == (0, 0)
    assert video.number(car(21)) == 1


@pytest.mark.parametrize('rate_hz', [5, 15, 30, 60])
def test_the_rate_does_not_matter(rate_hz: int) -> None:
    video = Video()
    video.next(car(0), after_s=1 / rate_hz)
    for index in range(1, 2 * rate_hz):
        left = 100 * index / (2 * rate_hz)  # 50 pixels a second
        assert video.number(car(left), after_s=1 / rate_hz) == 1


def test_dropped_images_lose_nothing_that_moves_on_as_it_did() -> None:
    video = Video()
    for index in range(10):  # 90 pixels a second
        video.number(car(3 * index), after_s=1 / 30)
    # 17 images on, the box is beside where it was.
    assert video.number(car(3 * 26), after_s=17 / 30) == 1


def test_what_was_hidden_for_less_than_keep_s_is_the_same() -> None:
    video = Video(keep_s=1.0)
    for _ in range(3):
        video.next(ROAD, car(40))
    for _ in range(8):
        video.next(ROAD)
    assert video.number(car(40)) == 1
    for _ in range(12):
        video.next(ROAD)
    video.next(car(40))
    assert video.number(car(40)) == 2


@pytest.mark.parametrize('after_s', [1.5, -1.5, -3600.0])
def test_after_a_pause_or_a_jump_of_the_clock_all_are_new(after_s: float) -> None:
    video = Video(keep_s=1.0)
    for _ in range(3):
        video.next(car(40))
    assert video.number(car(40), after_s=after_s) > LAST_TRACK
    assert video.number(car(41)) == 2


@pytest.mark.parametrize('after_s', [0.0, -0.02])
def test_stamps_that_stand_still_or_come_out_of_order_end_no_track(after_s: float) -> None:
    video = Video()
    video.next(car(19))
    assert {video.number(car(20 + i), after_s=after_s) for i in range(20)} == {1}


def test_images_too_far_apart_use_up_no_numbers_and_that_is_said() -> None:
    ids = TrackIds()
    video = Video(ids, keep_s=1.0)
    for _ in range(2):
        assert video.number(car(20), after_s=5.0) > LAST_TRACK
    assert video.tracker.notice == ''
    video.next(car(20), after_s=5.0)
    assert 'objects.track_keep_s (1 s) apart' in video.tracker.notice
    assert video.number(car(20)) == 1
    assert video.tracker.notice == ''


def test_cameras_of_one_node_share_no_number() -> None:
    ids = TrackIds()
    front, left = Video(ids), Video(ids)
    for video in (front, left):
        video.next(car(19))
    assert (front.number(car(20)), left.number(car(20))) == (1, 2)
    assert (front.number(car(21)), left.number(car(21))) == (1, 2)


def test_closed_trackers_give_their_numbers_back() -> None:
    ids = TrackIds(last=1)
    front, left = Video(ids), Video(ids)
    for video in (front, left):
        video.next(car(20))
    assert front.number(car(20)) == 1
    assert left.number(car(20)) > LAST_TRACK, 'none is left'
    front.tracker.close()
    assert left.number(car(20)) == 1


def test_a_vocabulary_says_what_a_thing_is() -> None:
    from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

    words = resolve('classes: [{name: road, thing: true}, {name: car, thing: false}]')
    video = Video()
    for _ in range(2):
        found = video.next(ROAD, car(20), vocabulary=words)
    assert found.tracked.tolist() == [True, False]
