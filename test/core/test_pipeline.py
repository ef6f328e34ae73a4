"""The whole pipeline on a real photo with the models that ship."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from semantic_fast_sam_ros.core.config import Config, DenseSettings, from_values
from semantic_fast_sam_ros.core.errors import ConfigError, FrameError, ModelError
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.render import colour_labels, overlay


@pytest.fixture
def segment(embedded: SemanticFastSam) -> Iterator[SemanticFastSam]:
    """The shipped pipeline; its settings are put back."""
    before = embedded.config
    yield embedded
    embedded.update(before)


def test_a_street_photo_gets_a_streets_labels(
    segment: SemanticFastSam, street: np.ndarray
) -> None:
    result = segment(street)
    shares = np.bincount(result.label_map.ravel(), minlength=12) / result.label_map.size
    share = {
        name: shares[c.id]
        for name, c in zip(result.vocabulary.names, result.vocabulary.classes, strict=True)
    }
    assert result.label_map.shape == street.shape[:2]
    assert min(share['pedestrian'], share['road'] + share['sidewalk']) > 0.05
    assert len(result.boxes) >= 5
    assert set(np.unique(result.instances)) <= {0, *result.mask_ids}
    np.testing.assert_array_equal(result.confidence == 0, result.label_map == 0)


def test_live_settings_hold_from_the_next_image(
    segment: SemanticFastSam, street: np.ndarray
) -> None:
    config = segment.config
    segment.update(replace(config, masks=replace(config.masks, max_masks=2)))
    assert len(segment(street).boxes) <= 2
    segment.update(replace(config, masks=replace(config.masks, confidence=1.0)))
    none = segment(street)
    assert len(none.boxes) == 0
    assert not none.instances.any()
    assert none.label_map.all()  # the dense labels remain


def test_turning_dense_labels_off_leaves_unmasked_pixels_unlabelled(
    segment: SemanticFastSam, street: np.ndarray
) -> None:
    config = segment.config
    segment.update(replace(config, vote=replace(config.vote, keep_dense=False, mode='hard')))
    result = segment(street)
    assert (result.label_map == 0).any()
    assert not result.label_map[result.instances == 0].any()


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((0, 5, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_image_is_refused(segment: SemanticFastSam, image: np.ndarray) -> None:
    with pytest.raises(FrameError, match=r'\(H, W, 3\) uint8'):
        segment(image)


@pytest.mark.parametrize('size', [(1, 1), (3, 200), (200, 3)])
def test_odd_sizes_are_labelled(segment: SemanticFastSam, size: tuple[int, int]) -> None:
    assert segment(np.full((*size, 3), 90, np.uint8)).label_map.shape == size


def test_two_callers_get_the_same_as_one(segment: SemanticFastSam, street: np.ndarray) -> None:
    small = np.ascontiguousarray(street[::2, ::2])
    alone = segment(small).label_map
    found: list[np.ndarray] = []
    callers = [
        threading.Thread(target=lambda: found.append(segment(small).label_map)) for _ in 'ab'
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 2
    assert all(np.array_equal(labels, alone) for labels in found)


def test_groups_are_published_as_one_class(street: np.ndarray) -> None:
    segment = SemanticFastSam.from_profile('embedded', groups='{ground: [road, sidewalk]}')
    assert 'ground' in segment.vocabulary.names
    assert 'road' not in segment.vocabulary.names
    ground = segment.vocabulary.find('ground')
    assert ground is not None
    assert (segment(street).label_map == ground.id).mean() > 0.05


@pytest.mark.parametrize(
    ('values', 'error', 'words'),
    [
        ({'device': 'cuda:99'}, ConfigError, 'cuda:99'),
        ({'device': 'toaster'}, ConfigError, 'toaster'),
        ({'groups': '{ground: [rode]}'}, ConfigError, "did you mean 'road'"),
        ({'vocabulary': 'zebra, unicorn'}, ConfigError, 'none of the'),
        ({'masks.model': 'missing.pt', 'offline': True}, ModelError, 'missing.pt'),
    ],
)
def test_a_wrong_setup_says_why(values: dict[str, object], error: type, words: str) -> None:
    config = from_values(values)
    with pytest.raises(error) as refused:
        SemanticFastSam(replace(config, dense=DenseSettings(image_size=64)))
    assert words in str(refused.value)


def test_an_opaque_overlay_shows_the_palette(segment: SemanticFastSam, street: np.ndarray) -> None:
    result, before = segment(street), street.copy()
    settings = replace(
        Config().output, overlay_opacity=1.0, overlay_contours=False, overlay_names=False
    )
    np.testing.assert_array_equal(overlay(street, result, settings), colour_labels(result))
    np.testing.assert_array_equal(street, before)
    named = overlay(street, result, Config().output)
    assert (named != overlay(street, result, settings)).any()


def test_unlabelled_pixels_keep_the_image(segment: SemanticFastSam, street: np.ndarray) -> None:
    result = segment(street)
    labels = result.label_map.copy()
    labels[:50] = 0
    settings = replace(Config().output, overlay_contours=False, overlay_names=False)
    drawn = overlay(street, replace(result, label_map=labels), settings)
    np.testing.assert_array_equal(drawn[:50], street[:50])
