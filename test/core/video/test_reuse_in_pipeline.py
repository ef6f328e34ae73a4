"""Names of masks last from image to image in the pipeline of the shipped CLIP."""

from dataclasses import replace

import numpy as np
import pytest

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.open_vocabulary import clip
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

NAMES = 'road, building, person, bus | vehicle'


@pytest.fixture(scope='module')
def pipeline() -> SemanticFastSam:
    """Give the profile embedded_open with reuse."""
    settings = {'device': 'cpu', 'precision': 'fp32', 'temporal__reuse': True}
    return SemanticFastSam.from_profile('embedded_open', vocabulary=NAMES, **settings)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the numbers of masks that CLIP is asked for, as they come."""
    counts: list[int] = []
    real = clip.ClipLabeller.encode

    def encode(self, image, proposals):
        counts.append(len(proposals))
        return real(self, image, proposals)

    monkeypatch.setattr(clip.ClipLabeller, 'encode', encode)
    return counts


@pytest.fixture(scope='module')
def street() -> np.ndarray:
    """Give a photo of a street."""
    import cv2
    from ultralytics.utils import ASSETS

    photo = read_image(ASSETS / 'bus.jpg')
    return np.asarray(cv2.resize(photo, (240, 320), interpolation=cv2.INTER_AREA))


def same(found: SegmentationResult, wanted: SegmentationResult) -> bool:
    pairs = ((found.label_map, wanted.label_map), (found.confidence, wanted.confidence))
    ranked = (found.class_ids, wanted.class_ids), (found.class_scores, wanted.class_scores)
    return all(np.array_equal(a, b) for a, b in (*pairs, *ranked))


def test_warming_up_encodes_a_mask(pipeline: SemanticFastSam, encoded: list[int]) -> None:
    pipeline.warm_up()
    assert sum(encoded) > 0


def test_the_same_image_again_costs_no_pass_and_gets_the_same_labels(
    pipeline: SemanticFastSam, street: np.ndarray, encoded: list[int]
) -> None:
    first = pipeline(street)
    again = pipeline(street, before=first)
    assert encoded == [len(first.boxes)] and encoded[0] > 3
    assert same(again, first)
    assert again.memory is not None and again.memory.ages.tolist() == [1] * len(first.boxes)


def test_only_what_changed_is_encoded(
    pipeline: SemanticFastSam, street: np.ndarray, encoded: list[int]
) -> None:
    first = pipeline(street)
    changed = street.copy()
    changed[-80:] = 255 - changed[-80:]
    again = pipeline(changed, before=first)
    assert again.memory is not None
    kept = int((again.memory.ages > 0).sum())
    assert 0 < kept < len(again.boxes)
    assert encoded == [len(first.boxes), len(again.boxes) - kept]


def test_without_the_image_before_every_image_stands_for_itself(
    pipeline: SemanticFastSam, street: np.ndarray, encoded: list[int]
) -> None:
    assert same(pipeline(street), pipeline(street))
    assert len(encoded) == 2 and encoded[0] == encoded[1]


def test_other_names_settings_and_sizes_begin_anew(
    pipeline: SemanticFastSam, street: np.ndarray, encoded: list[int]
) -> None:
    first, config = pipeline(street), pipeline.config
    pipeline(street[:300], before=first)
    pipeline.update(replace(config, clip=replace(config.clip, fill='none')))
    pipeline(street, before=first)
    pipeline.update(config)
    pipeline.set_vocabulary(resolve('road, tree'))
    pipeline(street, before=first)
    pipeline.set_vocabulary(resolve(NAMES))
    assert len(encoded) == 4 and min(encoded) > 0
    assert (
        same(pipeline(street, before=first), first) and len(encoded) == 4
    )  # as it was: it counts


def test_images_with_carried_labels_do_not_interrupt(
    pipeline: SemanticFastSam, street: np.ndarray, encoded: list[int]
) -> None:
    first = pipeline(street)
    carried = pipeline(street, first, before=first)
    again = pipeline(street, before=carried)
    assert len(encoded) == 1 and same(again, first)


def test_reuse_is_off_as_shipped(street: np.ndarray, encoded: list[int]) -> None:
    plain = SemanticFastSam.from_profile('embedded_open', device='cpu', precision='fp32')
    first = plain(street)
    assert first.memory is None
    plain(street, before=first)
    assert len(encoded) == 2
