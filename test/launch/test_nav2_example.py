"""The Nav2 example puts the layer where Nav2 can use it."""

import runpy
from pathlib import Path

import pytest
import yaml

pytest.importorskip('launch.actions', reason='launch is not installed: source a ROS installation')

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(name='example')
def _example():
    return runpy.run_path(str(ROOT / 'launch' / 'nav2_example.launch.py'))


def _nav2(plugins: list[str]) -> dict:
    settings = {'plugins': plugins, 'width': 3, 'inflation_layer': {'plugin': 'inflation'}}
    costmap = {'local_costmap': {'ros__parameters': settings}}
    return {'local_costmap': costmap, 'controller_server': {'ros__parameters': {}}}


def _layer() -> dict:
    return yaml.safe_load((ROOT / 'config' / 'nav2' / 'semantic_layer.yaml').read_text())


@pytest.mark.parametrize(
    ('before', 'after'),
    [
        (['voxel_layer', 'inflation_layer'], ['voxel_layer', 'LAYER', 'inflation_layer']),
        (['voxel_layer'], ['voxel_layer', 'LAYER']),
        (['LAYER', 'inflation_layer'], ['LAYER', 'inflation_layer']),
    ],
)
def test_the_layer_comes_before_the_inflation_once(example, before, after):
    name = example['LAYER']
    named = [name if plugin == 'LAYER' else plugin for plugin in before]
    merged = example['with_layer'](_nav2(named), _layer())
    costmap = merged['local_costmap']['local_costmap']['ros__parameters']
    assert costmap['plugins'] == [name if plugin == 'LAYER' else plugin for plugin in after]
    assert costmap['width'] == 3
    assert costmap[name]['camera']['labels_topic'] == '/semantic_fast_sam/label_info'
    assert 'controller_server' in merged


def test_the_labels_get_the_size_of_the_cloud(example):
    from launch import LaunchContext
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    for name, (default, _) in example['ARGUMENTS'].items():
        context.launch_configurations[name] = default
    context.launch_configurations['cloud_size'] = '848x480'
    (node,) = example['actions'](context)
    passed = {
        key: value if isinstance(value, str) else perform_substitutions(context, list(value))
        for key, value in node.launch_arguments
    }
    settings = yaml.safe_load(Path(passed['params_file']).read_text())
    assert settings['/**']['ros__parameters']['output']['size'] == '848x480'
