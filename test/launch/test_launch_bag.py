"""bag.launch.py: a recording goes through the node, its labels into a recording; then it ends."""

from pathlib import Path

import pytest

pytest.importorskip('launch_ros', reason='launch_ros is missing: source a ROS 2')

import harness
from bags.recordings import PERIOD_NS, START_NS, image_message, write_bag
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launched import launch_file, parameter_file
from rosbags.highlevel import AnyReader

FILE = launch_file('bag.launch.py')
COUNT = 6
TOPICS = {'label_info', 'label_image', 'confidence', 'instances', 'detections'}


@pytest.mark.timeout(400)
def test_a_recording_is_played_labelled_and_recorded(tmp_path: Path) -> None:
    street = harness.street()
    times = [START_NS + i * PERIOD_NS for i in range(COUNT)]
    bag = write_bag(tmp_path / 'bag', [('/cam', t, image_message(street, t)) for t in times])
    arguments = {'bag': bag, 'output': tmp_path / 'out', 'rate': '1.0'}
    given = {name: str(value) for name, value in arguments.items()}
    given['params_file'] = parameter_file()
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(FILE), launch_arguments=given.items()
        )
    )
    assert service.run() == 0
    stamps: dict[str, list[int]] = {}
    with AnyReader([tmp_path / 'out']) as reader:
        for connection, _, data in reader.messages():
            stamp = reader.deserialize(data, connection.msgtype).header.stamp
            name = connection.topic.removeprefix(f'{harness.NAME}/')
            stamps.setdefault(name, []).append(stamp.sec * 10**9 + stamp.nanosec)
    assert TOPICS | {'overlay/compressed'} == set(stamps)
    labelled = stamps['label_image']
    assert labelled == sorted(set(labelled)) and set(labelled) <= set(times)
