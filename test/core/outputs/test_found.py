"""What a query found: ranked masks, and the score of each pixel's mask."""

import numpy as np

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.found import Found, heat
from semantic_fast_sam_ros.core.outputs.frame_outputs import frame_contents
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

INSTANCES = np.array([[0, 7, 7], [9, 9, 40000]], np.uint16)
SCORES = np.array([[0.2, 0.9], [0.6, 0.7], [0.1, 0.4]], np.float32)


def result() -> SegmentationResult:
    return SegmentationResult(
        label_map=np.ones((2, 3), np.uint8),
        confidence=np.ones((2, 3), np.uint8),
        instances=INSTANCES,
        mask_ids=np.array([9, 7, 40000], np.uint16),
        boxes=np.array([[0, 1, 2, 2], [1, 0, 3, 1], [2, 1, 3, 2]], np.float32),
        mask_scores=np.ones(3, np.float32),
        class_ids=np.ones((3, 1), np.int64),
        class_scores=np.ones((3, 1), np.float32),
        vocabulary=from_names(['road']),
        features=np.eye(3, 4, dtype=np.float32),
    )


def test_answers_are_the_masks_from_the_threshold_on_likeliest_first() -> None:
    found = Found(('mug', 'dog'), SCORES, 0.6)
    ((first, words), (second, both)) = found.ranked()
    assert (first, [name for name, _ in words]) == (0, ['dog'])
    assert (second, [name for name, _ in both]) == (1, ['dog', 'mug'])


def test_nothing_is_found_below_the_threshold() -> None:
    assert Found(('mug', 'dog'), SCORES, 0.95).ranked() == []
    assert Found(('mug',), np.zeros((0, 1), np.float32), 0.0).ranked() == []


def test_heat_is_the_best_score_of_the_mask_of_each_pixel_whatever_the_threshold() -> None:
    found = heat(result(), Found(('mug', 'dog'), SCORES, 0.6))
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 178, 178], [230, 230, 102]]


def test_topics_carry_the_ids_and_boxes_of_the_masks_at_the_size_asked_for() -> None:
    found = Found(('mug', 'dog'), SCORES, 0.6)
    contents = dict(
        frame_contents(
            np.zeros((2, 3, 3), np.uint8),
            result(),
            OutputSettings(),
            {'query/detections', 'query/heat', 'features'},
            size=(4, 6),
            found=found,
        )
    )
    first, second = contents['query/detections']
    assert (first.id, first.centre, first.size) == ('9', (2.0, 3.0), (4.0, 2.0))
    assert second.id == '7' and second.hypotheses[0][0] == 'dog'
    assert contents['query/heat'].pixels.shape == (4, 6)
    assert (contents['features'].encoding, contents['features'].pixels.shape) == ('32FC1', (3, 4))


def test_without_a_query_nothing_is_said() -> None:
    wanted = {'query/detections', 'query/heat'}
    built = frame_contents(np.zeros((2, 3, 3), np.uint8), result(), OutputSettings(), wanted)
    assert dict(built) == {}
