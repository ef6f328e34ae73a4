"""Start the node and Nav2 with the semantic layer in its local costmap: an example to copy.

`ros2 launch semantic_fast_sam_ros nav2_example.launch.py image_topic:=/camera/color/image_raw
cloud_size:=640x480 nav2_params:=my_nav2.yaml`
"""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from semantic_fast_sam_ros.core.base.folders import resource_folder

LAYER = 'semantic_segmentation_layer'
LAST_LAYERS = ('inflation_layer',)  # what spreads the costs of all layers before it
ARGUMENTS = {
    'profile': ('embedded', 'profile of the node'),
    'image_topic': ('image', 'colour camera'),
    'depth_topic': ('depth/image', 'registered depth camera, for cloud_size camera_info'),
    'cloud_size': (
        '640x480',
        'WIDTHxHEIGHT of the organised cloud, which the labels get; camera_info: as depth_topic',
    ),
    'layer_params': (
        str(resource_folder('config') / 'nav2' / 'semantic_layer.yaml'),
        "the layer's parameters, as `export-nav2` writes them",
    ),
    'nav2_params': ('', "Nav2's parameter file, without the layer"),
    'managed': (
        'false',
        'true: a lifecycle manager of Nav2 starts the node',
    ),
    'use_sim_time': ('false', 'for a simulation'),
}


BOND_TIMEOUT_S = 4.0  # as Nav2 has it, where the node can form a bond


def manager() -> Node:
    """Return a lifecycle manager with waits that suit the node."""
    bonds = importlib.util.find_spec('bondpy') is not None
    values = str(resource_folder('config') / 'nav2' / 'lifecycle_manager.yaml')
    return Node(
        package='nav2_lifecycle_manager',
        executable='lifecycle_manager',
        name='lifecycle_manager_perception',
        parameters=[values, *([{'bond_timeout': BOND_TIMEOUT_S}] if bonds else [])],
        output='screen',
    )


def with_layer(nav2: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return Nav2's parameters with the layer in the local costmap, before the inflation."""
    costmap = nav2['local_costmap']['local_costmap']['ros__parameters']
    added = layer['local_costmap']['local_costmap']['ros__parameters']
    plugins = [name for name in costmap.get('plugins', []) if name != LAYER]
    place = next((i for i, name in enumerate(plugins) if name in LAST_LAYERS), len(plugins))
    costmap |= {**added, 'plugins': [*plugins[:place], LAYER, *plugins[place:]]}
    return nav2


def actions(context: LaunchContext) -> list[Action]:
    """Include the node's launch file and, if its parameters are given, Nav2's."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    folder = Path(tempfile.mkdtemp(prefix='semantic_fast_sam_nav2_'))
    sized = folder / 'node.yaml'
    settings = {'output': {'size': given['cloud_size']}}
    settings['use_sim_time'] = given['use_sim_time'].lower() == 'true'
    sized.write_text(yaml.safe_dump({'/**': {'ros__parameters': settings}}))
    node = {key: given[key] for key in ('profile', 'image_topic', 'depth_topic')}
    node['params_file'] = str(sized)
    managed = given['managed'].lower() == 'true'
    node['autostart'] = str(not managed).lower()
    started: list[Action] = [manager()] if managed else []
    started += [_include(resource_folder('launch') / 'semantic_fast_sam.launch.py', node)]
    if given['nav2_params']:
        from ament_index_python.packages import get_package_share_directory

        merged = folder / 'nav2.yaml'
        nav2 = yaml.safe_load(Path(given['nav2_params']).read_text())
        layer = yaml.safe_load(Path(given['layer_params']).read_text())
        merged.write_text(yaml.safe_dump(with_layer(nav2, layer), sort_keys=False))
        bringup = Path(get_package_share_directory('nav2_bringup')) / 'launch'
        passed = {'params_file': str(merged), 'use_sim_time': given['use_sim_time']}
        started.append(_include(bringup / 'navigation_launch.py', passed))
    return started


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=actions),
        ]
    )


def _include(path: Path, arguments: dict[str, str]) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(path))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())
