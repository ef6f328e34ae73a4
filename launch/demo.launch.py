"""Start an image source and the node: `ros2 launch semantic_fast_sam_ros demo.launch.py`."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from semantic_fast_sam_ros.core.base.folders import resource_folder

TOPIC = '/semantic_fast_sam_demo/image'
SOURCE = 'image folder, video, /dev/videoN or rosbag; empty: a street photo under a virtual camera'
PASSED_ON = {
    'profile': ('embedded', 'models and settings'),
    'vocabulary': ('', "names to publish instead of the profile's"),
    'device': ('', "cpu, cuda:0, ... instead of the profile's"),
    'rviz': ('false', 'open RViz'),
    'log_level': ('info', 'of the node'),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; include the node's launch file with the source's topic."""
    main = resource_folder('launch') / 'semantic_fast_sam.launch.py'
    passed_on = {name: LaunchConfiguration(name) for name in PASSED_ON}
    return LaunchDescription(
        [
            DeclareLaunchArgument('source', default_value='', description=SOURCE),
            DeclareLaunchArgument('rate', default_value='15.0', description='images a second'),
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in PASSED_ON.items()
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(main)),
                launch_arguments={**passed_on, 'image_topic': TOPIC}.items(),
            ),
            Node(
                package='semantic_fast_sam_ros',
                executable='image_stream',
                arguments=[
                    LaunchConfiguration('source'),
                    '--loop',
                    *('--topic', TOPIC),
                    *('--rate', LaunchConfiguration('rate')),
                ],
                output='screen',
            ),
        ]
    )
