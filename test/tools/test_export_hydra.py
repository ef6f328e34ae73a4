"""Hydra's label space and colours come from the vocabulary, in the form that Hydra reads."""

import csv

import pytest
import yaml

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary
from semantic_fast_sam_ros.tools.export_hydra import colour_table

SHIPPED = ('camvid', 'cityscapes', 'ade20k', 'coco_panoptic')


def _export(tmp_path, *words: str) -> tuple[dict, list[dict[str, str]]]:
    assert main(['export-hydra', '--output', str(tmp_path), *words]) == 0
    space = yaml.safe_load((tmp_path / 'semantic_fast_sam_label_space.yaml').read_text())
    with (tmp_path / 'semantic_fast_sam_colors.csv').open() as file:
        return space, list(csv.DictReader(file))


def test_every_label_has_a_name_a_role_and_a_colour(tmp_path):
    space, colours = _export(tmp_path, '--dynamic', 'car,person', '--surfaces', 'road')
    published = vocabulary_files.resolve('embedded')
    count = 1 + len(published)
    assert space['total_semantic_labels'] == count
    assert space['label_names'][4] == {'label': 4, 'name': 'road'}
    roles = ('dynamic_labels', 'invalid_labels', 'object_labels', 'surface_places_labels')
    assert sorted(i for role in roles for i in space[role]) == list(range(count))
    assert space['dynamic_labels'] == [9, 10]
    assert space['invalid_labels'] == [0]
    assert [int(row['id']) for row in colours] == list(range(count))
    road = colours[4]
    assert (road['name'], road['alpha']) == ('road', '255')
    assert tuple(int(road[c]) for c in ('red', 'green', 'blue')) == published.find('road').colour


@pytest.mark.parametrize('name', SHIPPED)
def test_no_two_classes_of_a_shipped_vocabulary_share_a_colour(name):
    vocabulary = vocabulary_files.resolve(name)
    rows = list(csv.DictReader(colour_table(vocabulary).splitlines()))
    assert len(rows) == len(vocabulary) + 1
    assert len({(row['red'], row['green'], row['blue']) for row in rows}) == len(rows)


def test_a_shared_colour_is_changed_by_a_shade_only():
    same = Vocabulary((SemanticClass(1, 'a', (1, 2, 3)), SemanticClass(2, 'b', (1, 2, 3))))
    assert colour_table(same).splitlines()[2:] == ['a,1,2,3,255,1', 'b,1,2,4,255,2']


def test_a_comma_in_a_name_does_not_make_a_column():
    table = colour_table(Vocabulary((SemanticClass(1, 'wall, tiled', (9, 8, 7)),)))
    assert table.splitlines()[2] == 'wall; tiled,9,8,7,255,1'
