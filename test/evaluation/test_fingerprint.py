"""With a kept --work, a score is served only for all that it depends on."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest
import tiny

from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.vocabulary import from_names
from semantic_fast_sam_ros.evaluation import fingerprint
from semantic_fast_sam_ros.evaluation.rows import ROWS
from semantic_fast_sam_ros.evaluation.run import Plan
from semantic_fast_sam_ros.evaluation.samples import DataSet, Sample, value_table

CLASSES = ('road', 'sky', 'car')


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Give what makes a plan anew, as a new call of the command does: a file for each row."""
    model = tiny.write_segformer(tmp_path / 'dense', CLASSES)
    layouts.write_pairs(tmp_path / 'images', tmp_path / 'labels', ['a', 'b'], (0, 1, 2))

    def files(data: DataSet | None = None, rows: str = 'dense', **settings: object) -> list[str]:
        values = {'dense.model': str(model), 'device': 'cpu', 'vocabulary': '', **settings}
        made = Plan(
            data or _data(tmp_path),
            from_values({k.replace('__', '.'): v for k, v in values.items()}),
            [ROWS[rows]],
            tmp_path / 'work',
        )
        return [str(made.file(ROWS[rows], s.name)) for s in made.data_set.samples]

    return files


def _data(folder: Path, first: int = 0, names: tuple[str, ...] = CLASSES, stride: int = 1):
    samples = tuple(
        Sample(n, 'walk', folder / 'images' / f'{n}.png', folder / 'labels' / f'{n}.png')
        for n in ('a', 'b')
    )
    table = value_table({first + i: i for i in range(len(names))})
    data = DataSet('generic', 'val', from_names(names), samples, table, is_video=True)
    return data.select(stride, 0)


def test_the_same_inputs_are_served_again(plan) -> None:
    assert plan() == plan()


@pytest.mark.parametrize('part', ['images', 'labels'])
def test_a_file_with_other_content_is_scored_anew_whatever_its_time(
    part: str, plan, tmp_path: Path
) -> None:
    before, file = plan(), tmp_path / part / 'b.png'
    times = file.stat()
    shape = (layouts.HEIGHT, layouts.WIDTH) if part == 'labels' else (24, 40, 3)
    layouts.write(file, np.ones(shape, np.uint8))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = plan()
    assert after[0] == before[0] and after[1] != before[1]


def test_first_label_and_class_names_count(plan, tmp_path: Path) -> None:
    kept = plan()
    assert not {*kept} & {*plan(_data(tmp_path, first=1))}
    assert not {*kept} & {*plan(_data(tmp_path, names=('road', 'sky', 'van')))}


def test_synonyms_in_a_vocabulary_file_count(plan, tmp_path: Path) -> None:
    file = tmp_path / 'names.yaml'
    found = []
    for prompts in ([], ['street']):
        file.write_text(json.dumps({'classes': [{'name': 'road', 'prompts': prompts}, 'sky']}))
        found.append(plan(vocabulary=str(file)))
    assert not {*found[0]} & {*found[1]}


def test_the_image_before_counts_only_for_rows_that_look_back(plan, tmp_path: Path) -> None:
    def thinned(row: str) -> list[str]:
        return plan(_data(tmp_path, stride=2), row)

    assert thinned('dense') == plan()[:1]
    kept = plan(rows='sfs_hysteresis')
    layouts.write(tmp_path / 'images' / 'a.png', np.ones((24, 40, 3), np.uint8))
    changed = plan(rows='sfs_hysteresis')
    assert changed[1] != kept[1]


def test_a_model_with_other_weights_counts(plan, tmp_path: Path) -> None:
    kept = plan()
    shutil.rmtree(tmp_path / 'dense')
    tiny.write_segformer(tmp_path / 'dense', (*CLASSES, 'dog'))
    assert not {*kept} & {*plan()}


def test_a_setting_counts_if_it_can_change_a_label(plan) -> None:
    kept = plan()
    assert not {*kept} & {*plan(vote__mode='hard')}
    assert kept == plan(output__overlay_opacity=0.9, offline=True)


def test_other_code_counts(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = plan()
    monkeypatch.setattr(fingerprint, 'code', lambda: 'other')
    assert not {*kept} & {*plan()}


def test_keys_in_a_chain_hold_those_before_within_their_sequence() -> None:
    chain = fingerprint.chained([('x', '1'), ('x', '2'), ('y', '2'), ('', '2'), ('', '2')])
    other = fingerprint.chained([('x', '0'), ('x', '2'), ('y', '2'), ('', '2'), ('', '2')])
    assert chain[:2] != other[:2] and chain[1] != other[1]
    assert chain[2:] == other[2:]
    assert chain[3] == chain[4]
