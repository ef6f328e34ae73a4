"""The rows of the ablation."""

from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
import tiny_clip
import torch

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.loading import OPEN_LABELLERS
from semantic_fast_sam_ros.core.settings import vocabulary_files, yaml_files
from semantic_fast_sam_ros.core.settings.effects import ADAPTING, REUSING
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.evaluation import rows, sources
from semantic_fast_sam_ros.evaluation.bench import Bench
from semantic_fast_sam_ros.evaluation.mapping import map_classes
from semantic_fast_sam_ros.evaluation.samples import DataSetError

NAMES = vocabulary_files.resolve('sky, road | street, car | vehicle | automobile')


def settings(options: list[str], **more: object):
    values = dict(o.removeprefix('--set=').split('=', 1) for o in options if '--set' in o)
    parsed = {k: yaml_files.parse_yaml(v, k) for k, v in values.items()}
    return load_profile('embedded', parsed | {'device': 'cpu'} | more)


def picture_and_truth():
    truth = np.zeros((24, 40), np.int16)
    truth[12:], truth[15:20, 8:24], truth[0] = 1, 2, -1
    return layouts.picture(0), truth


def test_every_open_labeller_has_a_row_with_and_without_synonyms() -> None:
    found = rows.open_rows()
    twice = {f'{n}{s}' for n in OPEN_LABELLERS for s in ('', '_synonyms')}
    reused = {f'{n}_reused' for n in REUSING}
    adapted = {f'{n}{s}_adapted' for n in ADAPTING for s in ('', '_synonyms')}
    assert set(found) == twice | reused | adapted
    assert rows.question(NAMES, synonyms=False) == 'sky, road, car'
    assert rows.question(NAMES, synonyms=True) == 'sky, road | street, car | vehicle | automobile'


def test_an_unknown_row_is_refused_with_the_nearest_names() -> None:
    assert [r.name for r in rows.choose(['sfs', 'dense', 'sfs'])] == ['sfs', 'dense']
    with pytest.raises(ConfigError, match=r"no row 'superpixel'.*superpixels"):
        rows.choose(['superpixel'])


@pytest.mark.parametrize('synonyms', [False, True])
def test_a_row_asks_an_open_labeller_with_the_classes(synonyms, networks, tmp_path: Path) -> None:
    model = tiny_clip.write_clip(tmp_path / 'clip')
    config = settings(networks, **{'clip.model': str(model)})
    chosen = rows.choose(['clip_synonyms' if synonyms else 'clip'])
    bench = Bench(config, NAMES, chosen)
    image, truth = picture_and_truth()
    outcome = bench.run(chosen, image, truth)[chosen[0].name]
    assert outcome.labels.shape == truth.shape
    assert set(np.unique(outcome.labels)) <= {0, 1, 2, 3}
    assert set(outcome.stage_ms) == {'masks', 'labels'}


def test_a_row_reuses_names_until_it_is_to_forget(networks, tmp_path: Path) -> None:
    model = tiny_clip.write_clip(tmp_path / 'clip')
    chosen = rows.choose(['clip', 'clip_reused'])
    bench = Bench(settings(networks, **{'clip.model': str(model)}), NAMES, chosen)
    image, truth = picture_and_truth()
    first = bench.run(chosen, image, truth)
    again = bench.run(chosen, image, truth)
    count = len(first['clip_reused'].masks)
    assert first['clip_reused'].reused == 0
    assert 0.9 * count <= again['clip_reused'].reused <= count  # some have no point of the grid
    assert again['clip'].reused == 0 and len(again['clip'].masks) > 0
    np.testing.assert_array_equal(again['clip'].labels, again['clip_reused'].labels)
    bench.forget()
    assert bench.run(chosen, image, truth)['clip_reused'].reused == 0


def test_an_adapted_row_learns_of_every_image_once_until_it_is_to_begin(
    networks: list[str], tmp_path: Path
) -> None:
    model = tiny_clip.write_clip(tmp_path / 'clip')
    learns = {'clip.ul_tta.gate': 0.0, 'clip.ul_tta.anchor': 1.0, 'clip.ul_tta.angle': 40.0}
    config = settings(networks, **{'clip.model': str(model), **learns})
    chosen = rows.choose(['clip', 'clip_adapted'])
    bench = Bench(config, NAMES, chosen, runs=3)
    image, truth = picture_and_truth()
    first = bench.run(chosen, image, truth)
    taken = bench._states['clip_adapted'].taken
    assert int(taken.sum()) == len(first['clip'].masks) > 0  # once, not as often as it was timed
    np.testing.assert_array_equal(first['clip'].confidence, first['clip_adapted'].confidence)
    bench.forget()  # another sequence: what was learned stays
    again = bench.run(chosen, image, truth)
    assert not np.allclose(again['clip'].confidence, again['clip_adapted'].confidence)
    bench.begin()
    anew = bench.run(chosen, image, truth)
    np.testing.assert_array_equal(
        anew['clip_adapted'].confidence, first['clip_adapted'].confidence
    )


def test_rows_look_back_only_as_they_say_and_by_the_users_figures() -> None:
    asked = TemporalSettings(reuse=True, reuse_images=7, hysteresis=0.6)
    plain, held, reused = rows.choose(['sfs', 'sfs_hysteresis', 'clip_reused'])
    assert rows.temporal_settings(plain, asked) == replace(asked, reuse=False, hysteresis=0.0)
    assert rows.temporal_settings(held, asked) == replace(asked, reuse=False)
    assert rows.temporal_settings(held, TemporalSettings()).hysteresis == rows.HYSTERESIS
    assert rows.temporal_settings(reused, asked) == replace(asked, hysteresis=0.0)


def test_true_labels_paint_the_majority_and_leave_the_rest(networks: list[str]) -> None:
    chosen = rows.choose(['dense', 'true_labels', 'true_labels_true_rest'])
    bench = Bench(settings(networks), NAMES, chosen)
    masks = np.zeros((2, 24, 40), bool)
    masks[0, 4:], masks[1, 15:20, 8:26] = True, True
    proposals = sources.proposals_of(masks, torch.device('cpu'))
    bench._generators['fastsam'] = Fixed(proposals)
    image, truth = picture_and_truth()
    found = bench.run(chosen, image, truth)
    expected = found['dense'].labels.copy()
    expected[4:], expected[15:20, 8:26] = 1, 2
    np.testing.assert_array_equal(found['true_labels'].labels, expected)
    rest = found['true_labels_true_rest'].labels
    np.testing.assert_array_equal(rest[4:], expected[4:])
    np.testing.assert_array_equal(rest[1:4], truth[1:4])


class Fixed:
    """A mask generator that always proposes the same."""

    def __init__(self, proposals):
        self.proposals = proposals

    def generate(self, image):
        return self.proposals


def test_superpixels_tile_the_image() -> None:
    pytest.importorskip('skimage', reason='scikit-image is missing (requirements/base.txt)')
    for cut in sources.SUPERPIXELS.values():
        masks = cut(layouts.picture(0))
        assert (masks.sum(0) == 1).all() and len(masks) > 1


def test_boxes_of_plain_masks_are_half_open() -> None:
    masks = np.zeros((1, 5, 9), bool)
    masks[0, 1:3, 4:8] = True
    assert sources.proposals_of(masks, torch.device('cpu')).boxes.tolist() == [[4, 1, 8, 3]]


def test_classes_map_by_name_and_synonym() -> None:
    published = vocabulary_files.resolve('automobile, street, dog')
    mapping = map_classes(published, NAMES)
    assert mapping.table.tolist() == [3, 2, 1, 3]
    assert mapping.pairs == {'automobile': 'car', 'street': 'road'}
    assert (mapping.unmapped, mapping.never_found) == (('dog',), ('sky',))
    with pytest.raises(DataSetError, match='none is a class of the data set'):
        map_classes(vocabulary_files.resolve('dog, cat'), NAMES)


def test_what_ships_beyond_camvids_classes_counts_as_what_holds_it_there() -> None:
    embedded, camvid = map(vocabulary_files.resolve, ('embedded', 'camvid'))
    mapping = map_classes(embedded, camvid)
    assert [mapping.pairs[name] for name in camvid.names] == list(camvid.names)
    beyond = {name: mapping.pairs.get(name) for name in embedded.names[len(camvid) :]}
    assert beyond == {
        'bus or truck': 'car',
        'terrain': 'tree',
        'two-wheeler': 'bicyclist',
        'other': None,
    }
