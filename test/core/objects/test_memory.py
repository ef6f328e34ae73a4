"""Objects out of sight: which are remembered, for how long, and what a query finds of them."""

from dataclasses import replace

import numpy as np
import pytest

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.memory import MAXIMUM_OBJECTS, ObjectMemory
from semantic_fast_sam_ros.core.objects.queries import Query
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

SECOND = 10**9
CAR, DOG, BOTH = [1, 0, 0], [0, 1, 0], [0.6, 0.8, 0]
QUERY = Query(
    'dog',
    ('dog',),
    np.array([DOG], np.float32),
    np.array([CAR], np.float32),
    np.ones((1, 1), np.bool_),
    10.0,
)


def image(
    objects: dict[int, list[float]], left: int = 0, tracked: bool = True
) -> SegmentationResult:
    """Return an image of 4 x 8 pixels with objects of these numbers and vectors."""
    count = len(objects)
    return SegmentationResult(
        label_map=np.ones((4, 8), np.uint8),
        confidence=np.ones((4, 8), np.uint8),
        instances=np.zeros((4, 8), np.uint16),
        mask_ids=np.array([*objects], np.uint16),
        boxes=np.array([[left, 1, left + 2, 3]] * count, np.float32).reshape(count, 4),
        mask_scores=np.ones(count, np.float32),
        class_ids=np.ones((count, 1), np.int64),
        class_scores=np.ones((count, 1), np.float32),
        vocabulary=from_names(['thing']),
        tracked=np.full(count, tracked),
        features=np.array([*objects.values()], np.float32).reshape(count, 3),
    )


def seen(*images: tuple[float, SegmentationResult], keep_s: float = 60) -> ObjectMemory:
    """Return a memory of images by their seconds."""
    memory = ObjectMemory(keep_s)
    for second, result in images:
        memory.see(result, round(second * SECOND))
    return memory


def test_what_is_out_of_sight_is_found_where_and_when_it_was_seen_last() -> None:
    memory = seen((1, image({7: DOG})), (2, image({7: DOG, 8: CAR}, left=4)), (3, image({})))
    (found,) = memory.out_of_sight(QUERY, 0.5, 3 * SECOND)
    assert (found.id, found.seen_ns, found.centre) == ('7', 2 * SECOND, (5.0, 2.0))
    assert found.hypotheses == (('dog', pytest.approx(1, abs=1e-3)),)


def test_what_is_in_sight_is_not_remembered() -> None:
    memory = seen((1, image({7: DOG})), (2, image({7: DOG})))
    assert len(memory) == 1 and memory.out_of_sight(QUERY, 0.0, 2 * SECOND) == ()


def test_answers_come_from_the_threshold_on_likeliest_first() -> None:
    memory = seen((1, image({1: CAR, 2: BOTH, 3: DOG})), (2, image({})))
    assert [d.id for d in memory.out_of_sight(QUERY, 0.5, 2 * SECOND)] == ['3', '2']


def test_the_mean_of_all_looks_counts() -> None:
    memory = seen((1, image({7: CAR})), *[(n, image({7: DOG})) for n in (2, 3)], (4, image({})))
    (found,) = memory.out_of_sight(QUERY, 0.0, 4 * SECOND)
    mean = np.array([1, 2]) / 5**0.5
    expected = 1 / (1 + np.exp(10 * (mean[0] - mean[1])))
    assert found.hypotheses[0][1] == pytest.approx(expected, abs=1e-4)


def test_what_was_not_seen_for_longer_is_forgotten() -> None:
    memory = seen((1, image({7: DOG})), (10, image({8: DOG})), (11.5, image({})), keep_s=10)
    assert [d.id for d in memory.out_of_sight(QUERY, 0.5, round(11.5 * SECOND))] == ['8']


@pytest.mark.parametrize('second', [-1000, 0.5, 5000])
def test_a_jump_of_the_clock_over_all_that_is_kept_forgets_it(second: float) -> None:
    memory = seen((1, image({7: DOG})), (second, image({})))
    assert len(memory) == 0
    memory.see(image({9: DOG}), round((second + 1) * SECOND))
    assert len(memory) == 1


def test_masks_without_a_track_are_not_remembered() -> None:
    assert len(seen((1, image({7: DOG}, tracked=False)))) == 0
    assert len(seen((1, replace(image({7: DOG}), tracked=None)))) == 0


def test_images_without_vectors_move_objects_and_bring_none() -> None:
    bare = replace(image({7: DOG, 8: DOG}, left=4), features=None)
    memory = seen((1, image({7: DOG})), (2, bare), (3, image({})))
    (found,) = memory.out_of_sight(QUERY, 0.5, 3 * SECOND)
    assert (found.id, found.seen_ns, found.centre[0]) == ('7', 2 * SECOND, 5.0)


def test_the_number_of_objects_is_bounded_the_oldest_go() -> None:
    crowds = [image(dict.fromkeys(range(first, first + 600), DOG)) for first in (1, 601)]
    memory = seen(*enumerate(crowds, start=1), (3, image({})))
    assert len(memory) == MAXIMUM_OBJECTS
    found = {int(d.id) for d in memory.out_of_sight(QUERY, 0.0, 3 * SECOND)}
    assert min(found) == 1201 - MAXIMUM_OBJECTS and max(found) == 1200
