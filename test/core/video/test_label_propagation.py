"""Labels of an earlier image follow the masks of this one."""

import numpy as np
import torch

from semantic_fast_sam_ros.core.masks.painting import rasterise
from semantic_fast_sam_ros.core.masks.types import MaskProposals, SegmentationResult
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names
from semantic_fast_sam_ros.core.video.label_propagation import CarriedLabels

SETTINGS = VoteSettings(minimum_purity=0.6)


def earlier(rows: list[list[int]]) -> SegmentationResult:
    """Return a result with those labels; confidence 200 where there is one."""
    label_map = np.array(rows, np.uint8)
    return SegmentationResult(
        label_map=label_map,
        confidence=np.where(label_map > 0, 200, 0).astype(np.uint8),
        instances=np.zeros(label_map.shape, np.uint16),
        mask_ids=np.zeros(0, np.uint16),
        boxes=np.zeros((0, 4), np.float32),
        mask_scores=np.zeros(0, np.float32),
        class_ids=np.zeros((0, 1), np.int64),
        class_scores=np.zeros((0, 1), np.float32),
        vocabulary=from_names(['road', 'car', 'sky']),
    )


def carry(result: SegmentationResult, *drawn: list[str]) -> np.ndarray:
    """Return the labels that masks drawn with '#' get."""
    height, width = result.label_map.shape
    masks = torch.tensor([[[c == '#' for c in row] for row in mask] for mask in drawn])
    masks = masks.reshape(-1, height, width).bool()
    proposals = MaskProposals(masks, torch.zeros(len(masks), 4), torch.ones(len(masks)))
    image = torch.zeros((3, height, width), dtype=torch.uint8)
    return rasterise(masks, CarriedLabels(result, SETTINGS).label(image, proposals))[0].numpy()


def test_thing_that_moved_a_little_keeps_its_label_in_its_new_outline() -> None:
    before = earlier([[1, 2, 2, 2, 2, 1, 1, 1], [1, 2, 2, 2, 2, 1, 1, 1]])
    after = carry(before, ['..####..', '..####..'])
    assert after.tolist() == [[1, 2, 2, 2, 2, 2, 1, 1]] * 2


def test_mask_without_a_clear_majority_leaves_the_pixels_as_they_were() -> None:
    before = earlier([[1, 1, 2, 2, 3, 3]])
    assert carry(before, ['######']).tolist() == before.label_map.tolist()


def test_no_masks_and_unlabelled_masks_keep_the_labels() -> None:
    before = earlier([[0, 0, 0, 3], [0, 0, 0, 3]])
    assert carry(before).tolist() == before.label_map.tolist()
    assert carry(before, ['####', '....']).tolist() == before.label_map.tolist()
