"""Start the node: `ros2 launch semantic_fast_sam_ros semantic_fast_sam.launch.py`."""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.settings.profiles import (
    NODE,
    profile_path,
    profiles,
    read_parameter_file,
)

PACKAGE = 'semantic_fast_sam_ros'
DDS_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
SHOWN = ('overlay', 'label_image', 'confidence', 'points')  # by RViz, beside the camera
ARGUMENTS = {
    'profile': ('embedded', f'models and settings, one of: {", ".join(profiles())}; or a file'),
    'image_topic': ('image', 'camera topic (for input.transport compressed: without /compressed)'),
    'depth_topic': ('depth/image', 'registered depth: for ~/points, output.size camera_info'),
    'points_topic': ('depth/points', 'organised cloud in its place, with cloud.source points'),
    'params_file': ('', 'ROS parameter file laid over the profile'),
    'vocabulary': ('', "names to publish instead of the profile's: a file or `road, car | van`"),
    'device': ('', "cpu, cuda:0, ... instead of the profile's"),
    'namespace': ('', 'namespace of the node'),
    'autostart': ('true', 'configure and activate by itself; false: wait for a lifecycle manager'),
    'respawn': ('false', 'start the node again when it dies'),
    'rviz': ('false', 'open RViz with the overlay, labels and camera'),
    'log_level': ('info', f'one of: {", ".join(LOG_LEVELS)}'),
}


def nodes(context: LaunchContext) -> list[Action]:
    """Return the node, and RViz if asked for, from the arguments as given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    if given['log_level'].lower() not in LOG_LEVELS:
        raise ValueError(f'log_level must be one of {LOG_LEVELS}, not {given["log_level"]!r}')
    node = Node(
        package=PACKAGE,
        executable='semantic_fast_sam_node',
        namespace=given['namespace'],
        parameters=parameters(given),
        remappings=[
            ('image', given['image_topic']),
            ('depth/image', given['depth_topic']),
            ('depth/points', given['points_topic']),
        ],
        arguments=['--ros-args', '--log-level', given['log_level']],
        respawn=truth('respawn', given['respawn']),
        respawn_delay=2.0,
        output='screen',
        emulate_tty=True,
    )
    # RViz first: where it is not installed, launch ends and would leave the node running.
    viewers = (
        [rviz(given['namespace'], given['image_topic'])] if truth('rviz', given['rviz']) else []
    )
    return [*viewers, node]


def parameters(given: dict[str, str]) -> list[object]:
    """Return the profile, the user's file over it, and single arguments over both."""
    files = [str(existing('profile', profile_path(given['profile'])))]
    if given['params_file']:
        file = existing('params_file', Path(given['params_file']).expanduser())
        read_parameter_file(file, f'/{given["namespace"].strip("/")}/{NODE}')  # refuses others'
        files.append(str(file))
    # As text: `[road, car]` and `3` would otherwise be read as YAML.
    texts = {k: ParameterValue(given[k], value_type=str) for k in ('vocabulary', 'device')}
    overrides: dict[str, object] = {k: v for k, v in texts.items() if given[k]}
    return [*files, {**overrides, 'autostart': truth('autostart', given['autostart'])}]


def rviz(namespace: str, image_topic: str) -> Node:
    """Return RViz with the shipped layout, its topics moved to where the node's are."""
    layout = resource_folder('config') / f'{NODE}.rviz'
    prefix = f'/{namespace.strip("/")}'.rstrip('/')
    camera = image_topic if image_topic.startswith('/') else f'{prefix}/{image_topic}'
    moved = [(f'/{NODE}/{topic}', f'{prefix}/{NODE}/{topic}') for topic in SHOWN]
    return Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', str(layout)],
        remappings=[*moved, ('/image', camera)],
    )


def existing(name: str, path: Path) -> Path:
    """Return the file; launch itself would go on without one that is missing."""
    if not path.is_file():
        raise FileNotFoundError(f'{name}: there is no file {path}')
    return path


def truth(name: str, text: str) -> bool:
    """Return a launch argument as a truth value."""
    if text.lower() not in ('true', 'false'):
        raise ValueError(f'{name} must be true or false, not {text!r}')
    return text.lower() == 'true'


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes, with images over shared memory."""
    shared_memory = str(resource_folder('config') / 'fastdds_shared_memory.xml')
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            SetEnvironmentVariable(DDS_PROFILE, os.environ.get(DDS_PROFILE) or shared_memory),
            OpaqueFunction(function=nodes),
        ]
    )
