"""The item nearest in time is found, however late one asks for it."""

from semantic_fast_sam_ros.core.outputs.approximate_time import KEPT, NearestInTime

MS = 1_000_000


def stream(*stamps_ms: int) -> NearestInTime[int]:
    matcher: NearestInTime[int] = NearestInTime()
    for stamp in stamps_ms:
        matcher.add(stamp * MS, stamp)
    return matcher


def test_without_items_there_is_no_match() -> None:
    assert stream().find(5) is None


def test_the_nearest_is_found_and_how_far_it_is() -> None:
    match = stream(100, 133, 166, 200).find(140 * MS)
    assert (match.item, match.apart_ns, match.settled) == (133, -7 * MS, True)


def test_a_match_settles_when_nothing_nearer_can_come() -> None:
    assert not stream(100, 133).find(140 * MS).settled
    assert stream(100, 133, 150).find(140 * MS).settled
    assert stream(100, 140).find(140 * MS).settled


def test_the_one_for_a_frame_in_work_outlasts_the_others() -> None:
    matcher = stream(100, 133)
    matcher.expect(140 * MS)
    for stamp in range(150, 150 + 33 * 3 * KEPT, 33):
        matcher.add(stamp * MS, stamp)
    assert matcher.find(140 * MS).item == 133
    matcher.expect(10_000 * MS)
    matcher.add(10_001 * MS, 10_001)
    for stamp in range(1, 2 * KEPT):
        matcher.add((10_001 + 33 * stamp) * MS, stamp)
    assert matcher.find(10_000 * MS).item == 10_001


def test_no_more_is_kept_than_needed() -> None:
    matcher = stream(*range(0, 33 * 100, 33))
    matcher.expect(33 * 100 * MS)
    assert matcher.find(0).item == 33 * (100 - KEPT)


def test_a_clock_that_jumps_back_is_followed() -> None:
    matcher = stream(5000, 5033, 5066)
    matcher.expect(5070 * MS)
    matcher.add(100 * MS, 100)
    matcher.add(133 * MS, 133)
    matcher.expect(135 * MS)
    assert matcher.find(135 * MS).item == 133
