"""Masks that stay keep their names; what changed is named anew."""

from dataclasses import replace

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskMemory, MaskProposals
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names
from semantic_fast_sam_ros.core.video.name_reuse import ReusingLabeller

HEIGHT, WIDTH = 24, 40
SETTINGS = TemporalSettings(reuse=True, reuse_iou=0.5, reuse_change=10.0, reuse_images=3)
LEFT, RIGHT = (2, 4, 14, 20), (22, 6, 38, 22)  # x1 y1 x2 y2


class Counting:
    """A labeller whose first name is the number of masks that it has named, two names each."""

    def __init__(self) -> None:
        self.vocabulary: Vocabulary = from_names([f'n{i}' for i in range(1, 100)])
        self.named = 0

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        count = len(proposals)
        first = torch.arange(self.named + 1, self.named + 1 + count)
        self.named += count
        ids = torch.stack([first, first * 0 + 99], 1)
        scores = torch.tensor([[0.7, 0.2]]).repeat(count, 1)
        return MaskLabels(ids, scores, torch.ones(count, dtype=torch.bool))


def proposals(*boxes: tuple[int, int, int, int]) -> MaskProposals:
    masks = torch.zeros((len(boxes), HEIGHT, WIDTH), dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    return MaskProposals(masks, torch.tensor(boxes).float().reshape(-1, 4), masks[:, 0, 0] + 1.0)


def picture(level: int = 100) -> Tensor:
    """Return a grey image with a darker left half."""
    image = torch.full((3, HEIGHT, WIDTH), level, dtype=torch.uint8)
    image[:, :, : WIDTH // 2] = level // 2
    return image


class Camera:
    """Labels one image after the other as the pipeline does."""

    def __init__(self, settings: TemporalSettings = SETTINGS) -> None:
        self.labeller = Counting()
        self.settings = settings
        self.memory: MaskMemory | None = None

    def label(
        self, *boxes: tuple[int, int, int, int], image: Tensor | None = None, setup: object = ''
    ) -> list[int]:
        """Return the first id of each mask."""
        reusing = ReusingLabeller(self.labeller, self.settings, setup, self.memory)
        found = reusing.label(picture() if image is None else image, proposals(*boxes))
        self.memory = reusing.memory
        assert found.class_ids.shape == found.scores.shape and len(found.paints) == len(boxes)
        return [int(i) for i in found.class_ids[:, 0]]


def test_masks_that_stay_keep_their_names_in_any_order() -> None:
    camera = Camera()
    assert camera.label(LEFT, RIGHT) == [1, 2]
    assert camera.label(RIGHT, LEFT) == [2, 1]
    assert camera.labeller.named == 2


def test_only_masks_that_are_new_are_named() -> None:
    camera = Camera()
    camera.label(LEFT)
    assert camera.label(RIGHT, LEFT) == [2, 1]
    assert camera.memory is not None and camera.memory.ages.tolist() == [0, 1]
    assert camera.memory.labels.scores.tolist()[0] == camera.memory.labels.scores.tolist()[1]


def test_a_mask_that_moved_by_less_than_the_overlap_asked_for_is_the_same() -> None:
    camera = Camera()
    camera.label(LEFT)  # 12 wide
    assert camera.label((5, 4, 17, 20)) == [1]  # 9 of 15 shared: 0.6
    assert camera.label((10, 4, 22, 20)) == [2]  # 7 of 17: 0.41


def test_a_mask_whose_picture_changed_is_named_anew() -> None:
    camera = Camera()
    camera.label(LEFT, RIGHT)
    changed = picture()
    changed[:, :, WIDTH // 2 :] += 11
    assert camera.label(LEFT, RIGHT, image=changed) == [1, 3]


def test_small_changes_add_up_until_it_is_named_anew() -> None:
    camera = Camera(replace(SETTINGS, reuse_images=100))
    seen = [camera.label(RIGHT, image=picture(100 + 4 * i))[0] for i in range(5)]
    assert seen == [1, 1, 1, 2, 2]  # 4 and 8 are little, 12 is not; 4 from there


def test_names_are_not_kept_for_more_images_than_allowed() -> None:
    camera = Camera()
    seen = [camera.label(RIGHT)[0] for _ in range(6)]
    assert seen == [1, 1, 1, 1, 2, 2]
    once = Camera(replace(SETTINGS, reuse_images=1))
    assert [once.label(RIGHT)[0] for _ in range(4)] == [1, 1, 2, 2]


def test_masks_named_together_are_not_all_named_anew_together() -> None:
    camera = Camera(replace(SETTINGS, reuse_images=2))
    assert camera.label(LEFT, RIGHT) == [1, 2]
    assert camera.label(LEFT, RIGHT) == [1, 2]
    assert camera.label(LEFT, RIGHT) == [1, 3]


def test_other_circumstances_or_names_begin_anew() -> None:
    camera = Camera()
    assert camera.label(LEFT, setup='a') == [1]
    assert camera.label(LEFT, setup='b') == [2]
    camera.labeller.vocabulary = from_names(['road'])
    assert camera.label(LEFT, setup='b') == [3]


def test_images_without_masks_are_images_too() -> None:
    camera = Camera()
    assert camera.label() == []
    assert camera.label(LEFT) == [1]
    assert camera.label() == []
    assert camera.label(LEFT) == [2]


def test_a_mask_between_the_points_of_the_grid_is_named_anew() -> None:
    large = torch.zeros((3, 2000, 2000), dtype=torch.uint8)
    masks = torch.zeros((1, 2000, 2000), dtype=torch.bool)
    masks[0, 1, 1] = True
    found = MaskProposals(masks, torch.tensor([[1.0, 1, 2, 2]]), torch.ones(1))
    labeller = Counting()
    memory = None
    for expected in (1, 2):
        reusing = ReusingLabeller(labeller, replace(SETTINGS, reuse_iou=0.0), '', memory)
        assert reusing.label(large, found).class_ids[0, 0] == expected
        memory = reusing.memory


def test_narrower_and_wider_rankings_are_laid_over_each_other() -> None:
    camera = Camera()
    camera.label(LEFT)
    wide = camera.labeller.label

    def narrow(image: Tensor, proposals: MaskProposals) -> MaskLabels:
        labels = wide(image, proposals)
        return MaskLabels(labels.class_ids[:, :1], labels.scores[:, :1], labels.paints)

    camera.labeller.label = narrow  # type: ignore[method-assign]
    assert camera.label(LEFT, RIGHT) == [1, 2]
    assert camera.memory is not None
    assert camera.memory.labels.class_ids.tolist() == [[1, 99], [2, 0]]
