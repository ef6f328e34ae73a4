"""Start an image source and the node: `ros2 launch semantic_fast_sam_ros demo.launch.py`."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from semantic_fast_sam_ros.core.resources import resource_folder

TOPIC = '/semantic_fast_sam_demo/image'
PASSED_ON = {'profile': 'embedded', 'vocabulary': '', 'device': '', 'rviz': 'false'}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; include the node's launch file with the source's topic."""
    main = resource_folder('launch') / 'semantic_fast_sam.launch.py'
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'source',
                default_value='',
                description='image folder, video, /dev/videoN or rosbag; empty: a street photo '
                'under a virtual camera',
            ),
            DeclareLaunchArgument('rate', default_value='15.0', description='images a second'),
            *(DeclareLaunchArgument(name, default_value=v) for name, v in PASSED_ON.items()),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(main)),
                launch_arguments={
                    'image_topic': TOPIC,
                    **{name: LaunchConfiguration(name) for name in PASSED_ON},
                }.items(),
            ),
            Node(
                package='semantic_fast_sam_ros',
                executable='image_stream',
                arguments=[
                    LaunchConfiguration('source'),
                    '--loop',
                    '--topic',
                    TOPIC,
                    '--rate',
                    LaunchConfiguration('rate'),
                ],
                output='screen',
            ),
        ]
    )
