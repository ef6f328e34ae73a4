"""Nav2's class lists come from the vocabulary: complete, checked, the shipped file fresh."""

import argparse
import shlex
from pathlib import Path

import pytest
import yaml

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings import vocabulary as vocabularies
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.tools import export_nav2

SHIPPED = Path(__file__).resolve().parents[2] / 'config' / 'nav2' / 'semantic_layer.yaml'
CAMVID = vocabulary_files.resolve('camvid')


def _arguments(**given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    export_nav2.add_arguments(parser)
    return parser.parse_args([w for k, v in given.items() for w in (f'--{k}', v)])


def _camera(text: str) -> dict:
    tree = yaml.safe_load(text)['local_costmap']['local_costmap']['ros__parameters']
    return tree['semantic_segmentation_layer']['camera']


def test_every_class_stands_in_exactly_one_list():
    camera = _camera(export_nav2.render(CAMVID, _arguments(free='road', costly='sidewalk')))
    listed = [name for kind in camera['class_types'] for name in camera[kind]['classes']]
    assert sorted(listed) == sorted(CAMVID.names)
    assert camera['free']['classes'] == ['road']
    assert camera['lethal']['max_cost'] == 254


def test_other_names_of_a_class_are_understood():
    camera = _camera(export_nav2.render(CAMVID, _arguments(free='Road, pavement')))
    assert camera['free']['classes'] == ['road', 'sidewalk']
    assert camera['class_types'] == ['free', 'lethal']


def test_an_unknown_class_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match=r"no class 'raod' \(did you mean 'road'"):
        export_nav2.render(CAMVID, _arguments(free='raod'))


def test_a_class_in_two_lists_is_refused():
    with pytest.raises(ConfigError, match='--free and --costly'):
        export_nav2.render(CAMVID, _arguments(free='road', costly='road'))


def test_ids_beyond_a_byte_are_refused():
    many = vocabularies.from_names(f'class {i}' for i in range(256))
    with pytest.raises(ConfigError, match='one byte a pixel'):
        export_nav2.render(many, _arguments(free='class 1'))


def test_a_profile_without_names_is_refused(capsys, tmp_path):
    profile = tmp_path / 'own.yaml'
    profile.write_text('/**:\n  ros__parameters:\n    device: cpu\n')
    assert main(['export-nav2', '--profile', str(profile), '--free', 'road']) == 1
    assert 'give --vocabulary' in capsys.readouterr().err


def test_groups_become_classes(capsys):
    groups = '{ground: [road, sidewalk]}'
    assert main(['export-nav2', '--groups', groups, '--free', 'ground']) == 0
    assert _camera(capsys.readouterr().out)['free']['classes'] == ['ground']


def test_the_shipped_file_is_what_its_first_line_makes(capsys):
    command = SHIPPED.read_text().partition('\n')[0].partition('semantic_fast_sam_ros ')[2]
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == SHIPPED.read_text()
