"""Start the node: `ros2 launch semantic_fast_sam_ros semantic_fast_sam.launch.py`."""

import os

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from semantic_fast_sam_ros.core.config import profile_path, profiles
from semantic_fast_sam_ros.core.resources import resource_folder

PACKAGE = 'semantic_fast_sam_ros'
DDS_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
ARGUMENTS = {
    'profile': ('embedded', f'models and settings, one of: {", ".join(profiles())}; or a file'),
    'image_topic': ('image', 'camera topic (for input.transport compressed: without /compressed)'),
    'params_file': ('', 'ROS parameter file laid over the profile'),
    'vocabulary': ('', "names to publish instead of the profile's: a file or `road, car | van`"),
    'device': ('', "cpu, cuda:0, ... instead of the profile's"),
    'namespace': ('', 'namespace of the node'),
    'autostart': ('true', 'configure and activate by itself; false: wait for a lifecycle manager'),
    'respawn': ('false', 'start the node again when it dies'),
    'rviz': ('false', 'open RViz with the overlay, labels and camera'),
    'log_level': ('info', 'debug, info, warn, error or fatal'),
}


def nodes(context: LaunchContext) -> list[Action]:
    """Return the node, and RViz if asked for, from the arguments as given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters: list[object] = [str(profile_path(given['profile']))]
    if given['params_file']:
        parameters.append(given['params_file'])
    overrides: dict[str, object] = {k: given[k] for k in ('vocabulary', 'device') if given[k]}
    parameters.append({**overrides, 'autostart': truth('autostart', given['autostart'])})
    started: list[Action] = [
        Node(
            package=PACKAGE,
            executable='semantic_fast_sam_node',
            namespace=given['namespace'],
            parameters=parameters,
            remappings=[('image', given['image_topic'])],
            arguments=['--ros-args', '--log-level', given['log_level']],
            respawn=truth('respawn', given['respawn']),
            respawn_delay=2.0,
            output='screen',
            emulate_tty=True,
        )
    ]
    if truth('rviz', given['rviz']):
        layout = resource_folder('config') / 'semantic_fast_sam.rviz'
        started.append(Node(package='rviz2', executable='rviz2', arguments=['-d', str(layout)]))
    return started


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
            SetEnvironmentVariable(DDS_PROFILE, os.environ.get(DDS_PROFILE, shared_memory)),
            OpaqueFunction(function=nodes),
        ]
    )
