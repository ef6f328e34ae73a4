"""The whole pipeline on a real photo with the models that ship."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError, ModelError
from semantic_fast_sam_ros.core.outputs.overlay import colour_labels, overlay
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.core.settings.models import DenseSettings
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary import VocabularyHistory, from_names


@pytest.fixture
def segment(embedded: SemanticFastSam) -> Iterator[SemanticFastSam]:
    """The shipped pipeline; its settings are put back."""
    before = embedded.config
    yield embedded
    embedded.update(before)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_many_images_at_once_get_the_labels_of_single_ones(
    embedded: SemanticFastSam, street: np.ndarray, two_threads: None
) -> None:
    images = [street[: 320 + 8 * i, 8 * i :] for i in range(6)]
    single = [embedded(image) for image in images]
    offline = SemanticFastSam.for_throughput(embedded.config)
    assert offline.concurrent_images == 3
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(offline, images))
    assert torch.get_num_threads() == 2  # the caller's business, and as it was
    for one, other in zip(single, together, strict=True):
        for kind in ('label_map', 'confidence', 'instances', 'class_scores', 'boxes'):
            np.testing.assert_array_equal(getattr(one, kind), getattr(other, kind))


def test_networks_that_take_one_image_at_a_time_are_not_given_several(
    two_threads: None,
) -> None:
    config = load_profile('embedded', {'backend': 'torch', 'precision': 'fp32'})
    offline = SemanticFastSam.for_throughput(config)
    assert offline.concurrent_images == 2


def test_a_street_photo_gets_a_streets_labels(
    segment: SemanticFastSam, street: np.ndarray
) -> None:
    result = segment(street)
    shares = np.bincount(result.label_map.ravel(), minlength=99) / result.label_map.size
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


def test_memory_that_is_not_contiguous_is_as_good(
    segment: SemanticFastSam, street: np.ndarray
) -> None:
    backwards = np.ascontiguousarray(street[::2, ::2, ::-1])  # a BGR image, read as RGB
    contiguous = np.ascontiguousarray(street[::2, ::2])
    contiguous.flags.writeable = False
    expected = segment(contiguous)
    found = segment(backwards[..., ::-1])
    np.testing.assert_array_equal(found.label_map, expected.label_map)
    np.testing.assert_array_equal(found.instances, expected.instances)


def test_nothing_is_loaded_again_for_the_next_image(
    segment: SemanticFastSam, street: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError('loaded while running')

    monkeypatch.setattr('ultralytics.nn.tasks.load_checkpoint', refuse)
    monkeypatch.setattr('transformers.PreTrainedModel.from_pretrained', refuse)
    first, second = segment(street[::2, ::2]), segment(street[::2, ::2])
    np.testing.assert_array_equal(first.label_map, second.label_map)


def test_masks_alone_have_no_labels(street: np.ndarray) -> None:
    result = SemanticFastSam.from_profile('embedded', labeller='none', vocabulary='')(street)
    assert len(result.boxes) >= 5
    assert result.instances.any()
    assert not result.label_map.any()
    assert not result.confidence.any()


def with_model(folder: Path, **values: object) -> Config:
    return from_values({'dense.model': str(folder), 'dense.image_size': 0, **values})


def test_three_hundred_classes_need_sixteen_bits(tmp_path: Path, street: np.ndarray) -> None:
    names = [f'thing {i}' for i in range(300)]
    history = VocabularyHistory()
    history.admit(from_names([f'older thing {i}' for i in range(255)]))
    config = with_model(tiny.write_segformer(tmp_path / 'many', names))
    result = SemanticFastSam(config, history)(street[::4, ::4])
    assert result.vocabulary.max_id == 555
    assert result.label_map.dtype == np.uint16
    assert result.label_map.min() > 255  # eight bits would cut them
    assert result.vocabulary.name_of(int(result.label_map[0, 0])) in names


def test_classes_of_one_name_are_one_class(tmp_path: Path, street: np.ndarray) -> None:
    folder = tiny.write_segformer(tmp_path / 'twice', ('road', 'sky', 'Road', 'car', 'tree'))
    segment = SemanticFastSam(with_model(folder))
    assert segment.vocabulary.names == ('road', 'sky', 'car', 'tree')
    assert segment(street[::4, ::4]).label_map.max() <= 4


def test_ids_keep_their_meaning_over_pipelines_of_one_process(
    tiny_folder: Callable[[str], Path], street: np.ndarray
) -> None:
    history, folder = VocabularyHistory(), tiny_folder('segformer')
    first = SemanticFastSam(with_model(folder), history)
    groups = with_model(folder, groups='{thing: [car, person]}')
    second = SemanticFastSam(groups, history)
    assert [c.id for c in first.vocabulary.classes] == [1, 2, 3, 4, 5]
    ids = {c.name: c.id for c in second.vocabulary.classes}
    assert ids == {'road': 1, 'sky': 2, 'tree': 4, 'thing': 6}
    small = street[::4, ::4]
    before, after = first(small).label_map, second(small).label_map
    assert set(np.unique(after)) <= {1, 2, 4, 6}
    np.testing.assert_array_equal(np.isin(before, (3, 5)).any(), (after == 6).any())


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


def test_hysteresis_holds_labels_of_the_image_before(
    segment: SemanticFastSam, street: np.ndarray
) -> None:
    first, alone = segment(street), segment(255 - street)
    held = replace(segment.config.temporal, hysteresis=0.9)
    segment.update(replace(segment.config, temporal=held))
    np.testing.assert_array_equal(segment(255 - street).label_map, alone.label_map)
    found = segment(255 - street, before=first)
    kept = found.label_map != alone.label_map
    assert 0.01 < kept.mean() < 1
    np.testing.assert_array_equal(found.label_map[kept], first.label_map[kept])
    np.testing.assert_array_equal(found.confidence[~kept], alone.confidence[~kept])
    share = 0.9 * first.confidence[kept].astype(float)
    assert np.abs(found.confidence[kept] - share).max() <= 0.51
    assert (alone.confidence[kept] <= share + 0.5).all()


def test_hysteresis_looks_at_no_image_of_another_size_or_other_names(
    segment: SemanticFastSam, street: np.ndarray
) -> None:
    first, inverted = segment(street), 255 - street[::2, ::2]
    alone = segment(inverted)
    held = replace(segment.config.temporal, hysteresis=0.9)
    segment.update(replace(segment.config, temporal=held))
    renamed = replace(segment(street[::2, ::2]), vocabulary=from_names(['road']))
    for before in (first, renamed):
        found = segment(inverted, before=before)
        np.testing.assert_array_equal(found.label_map, alone.label_map)
