"""Play a bag into the node and record the outputs: `ros2 launch ... bag.launch.py bag:=DRIVE`."""

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from semantic_fast_sam_ros.core.base.folders import resource_folder

PACKAGE = 'semantic_fast_sam_ros'
TOPIC = '/semantic_fast_sam_bag/image'
LAST_LABELS_S = 3.0
ARGUMENTS = {
    'bag': (None, 'rosbag2 folder or file to play'),
    'output': ('', 'folder of the recording of the outputs; empty: record nothing'),
    'qos_overrides': (
        str(resource_folder('config') / 'rosbag2' / 'qos_overrides.yaml'),
        'QoS of the recording, as `ros2 bag record` takes it',
    ),
    'bag_topic': ('', 'image topic to play; empty: the first camera'),
    'rate': ('1x', 'factor of the recorded speed such as 0.5x, or images a second'),
    'clock': ('false', "publish /clock with the bag's time"),
    'loop': ('false', 'start again at the end'),
}
PASSED_ON = {
    'profile': ('embedded', 'models and settings'),
    'params_file': ('', 'ROS parameter file laid over the profile'),
    'vocabulary': ('', "names to publish instead of the profile's"),
    'device': ('', "cpu, cuda:0, ... instead of the profile's"),
    'rviz': ('false', 'open RViz'),
    'log_level': ('info', 'of the node'),
}


def actions(context: LaunchContext) -> list[Action]:
    """Return player and recorder; the end of the player is the end of everything."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    words = [
        given['bag'],
        '--topic',
        TOPIC,
        '--rate',
        given['rate'],
        '--wait',
        '--recorded-stamps',
    ]
    words += ['--bag-topic', given['bag_topic']] if given['bag_topic'] else []
    words += [f'--{name}' for name in ('clock', 'loop') if given[name].lower() == 'true']
    player = Node(package=PACKAGE, executable='image_stream', arguments=words, output='screen')
    # The labels of the last images are on their way.
    end = TimerAction(
        period=LAST_LABELS_S, actions=[EmitEvent(event=Shutdown(reason='the bag is played'))]
    )
    started: list[Action] = [
        player,
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[end])),
    ]
    if given['output']:
        program = ExecutableInPackage('semantic_fast_sam', PACKAGE)
        record = [program, 'record', given['output'], '--qos', given['qos_overrides']]
        started.append(ExecuteProcess(cmd=record, output='screen', sigterm_timeout='30'))
    return started


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; include the node's launch file with the player's topic."""
    main = resource_folder('launch') / 'semantic_fast_sam.launch.py'
    passed_on = {name: LaunchConfiguration(name) for name in PASSED_ON}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in (ARGUMENTS | PASSED_ON).items()
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(main)),
                launch_arguments={'image_topic': TOPIC, **passed_on}.items(),
            ),
            OpaqueFunction(function=actions),
        ]
    )
