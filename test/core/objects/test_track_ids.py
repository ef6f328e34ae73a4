"""Numbers of tracks rise, and begin again only when all are used up."""

from semantic_fast_sam_ros.core.objects.track_ids import LAST_TRACK, TrackIds


def test_numbers_rise_and_are_not_given_again_when_a_track_ends() -> None:
    ids = TrackIds()
    first = [ids.take() for _ in range(3)]
    ids.give_back(first)
    assert [*first, ids.take()] == [1, 2, 3, 4]
    assert ids.notice == ''


def test_used_up_numbers_begin_again_without_those_in_use_and_that_is_said() -> None:
    ids = TrackIds(last=4)
    numbers = [ids.take() for _ in range(4)]
    assert ids.notice == ''
    ids.give_back([1, 3, 4])
    assert [*numbers, *(ids.take() for _ in range(3))] == [1, 2, 3, 4, 1, 3, 4]
    assert 'more than 4 objects' in ids.notice
    assert ids.take() == 0, 'all are in use'


def test_the_65536th_object_has_a_number_that_fits_hydra_and_16_bits() -> None:
    ids = TrackIds()
    for _ in range(65_535):
        ids.give_back([ids.take()])
    number = ids.take()
    assert number == 65_536 - 2 * LAST_TRACK == 2
    assert f'more than {LAST_TRACK}' in ids.notice
