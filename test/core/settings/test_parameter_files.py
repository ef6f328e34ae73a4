"""Of a parameter file the node's own blocks count, as rcl picks them; none is told."""

from pathlib import Path

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings import profiles


def _write(folder: Path, text: str) -> Path:
    file = folder / 'robot.yaml'
    file.write_text(text)
    return file


def _block(name: str, indent: str = '') -> str:
    return f'{indent}{name}:\n{indent}  ros__parameters: {{threads: 3}}\n'


OTHER = _block('/controller').replace('threads: 3', 'threads: 9, gains: {p: 1.0}')


@pytest.mark.parametrize(
    ('name', 'node'),
    [
        ('/**', '/semantic_fast_sam'),
        ('/**', '/a/b/semantic_fast_sam'),
        ('/**', ''),
        ('semantic_fast_sam', '/semantic_fast_sam'),
        ('/semantic_fast_sam', ''),
        ('/**/semantic_fast_sam', '/semantic_fast_sam'),
        ('/**/semantic_fast_sam', '/robot/semantic_fast_sam'),
        ('/*/semantic_fast_sam', '/robot/semantic_fast_sam'),
        ('/robot/semantic_fast_sam', '/robot/semantic_fast_sam'),
        ('/robot/semantic_fast_sam', ''),
        ('/robot/*', '/robot/semantic_fast_sam'),
    ],
)
def test_a_block_for_the_node_counts_and_those_of_others_do_not(
    name: str, node: str, tmp_path: Path
) -> None:
    file = _write(tmp_path, OTHER + _block(name))
    assert profiles.read_parameter_file(file, node) == {'threads': 3}


@pytest.mark.parametrize(
    ('name', 'node'),
    [
        ('/segmenter', ''),
        ('/segmenter', '/semantic_fast_sam'),
        ('/semantic_fast_sam', '/robot/semantic_fast_sam'),
        ('/other/semantic_fast_sam', '/robot/semantic_fast_sam'),
        ('/*/semantic_fast_sam', '/semantic_fast_sam'),
        ('/*', '/a/semantic_fast_sam'),
    ],
)
def test_a_file_with_nothing_for_the_node_says_for_whom_it_is(
    name: str, node: str, tmp_path: Path
) -> None:
    file = _write(tmp_path, _block(name))
    with pytest.raises(ConfigError, match='sets nothing for') as refused:
        profiles.read_parameter_file(file, node)
    assert f'for {name};' in str(refused.value)
    assert (node or '/semantic_fast_sam') in str(refused.value)


def test_namespaces_may_be_nested(tmp_path: Path) -> None:
    file = _write(tmp_path, 'robot:\n  head:\n' + _block('semantic_fast_sam', '    '))
    assert profiles.read_parameter_file(file, '/robot/head/semantic_fast_sam') == {'threads': 3}


def test_later_blocks_go_before_earlier_ones(tmp_path: Path) -> None:
    text = _block('/**') + _block('semantic_fast_sam').replace('3', '5')
    assert profiles.read_parameter_file(_write(tmp_path, text)) == {'threads': 5}


def test_a_robot_wide_file_may_set_what_every_node_has(tmp_path: Path) -> None:
    text = (
        '/**:\n  ros__parameters:\n    use_sim_time: true\n    threads: 2\n'
        '    qos_overrides: {/tf: {subscription: {depth: 5}}}\n'
    )
    assert profiles.load_profile(str(_write(tmp_path, text))).threads == 2


def test_an_unknown_setting_in_another_nodes_block_is_passed_over(tmp_path: Path) -> None:
    file = _write(tmp_path, OTHER + _block('/**'))
    assert profiles.load_profile(str(file)).threads == 3
