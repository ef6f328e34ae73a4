"""A node that dies is started again with respawn:=true."""

import os
import signal
import unittest
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='launch_testing is missing: source a ROS 2')

import launch_testing.actions
from harness import NAME, Peer, photo_message, until
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launched import launch_file, parameter_file
from sensor_msgs.msg import Image

FILE = launch_file('semantic_fast_sam.launch.py')
MARK = f'SEMANTIC_FAST_SAM_RESPAWN_TEST={os.getpid()}'


@pytest.mark.launch_test
@pytest.mark.timeout(600)
def generate_test_description() -> LaunchDescription:
    """Start the node with respawn, its process marked in its environment."""
    arguments = {'respawn': 'true', 'params_file': parameter_file()}
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(FILE), launch_arguments=arguments.items()
    )
    mark = SetEnvironmentVariable(*MARK.split('='))
    return LaunchDescription([mark, node, launch_testing.actions.ReadyToTest()])


def marked_processes() -> set[int]:
    """Return the processes that carry this test's mark."""
    found = set()
    for environment in Path('/proc').glob('[0-9]*/environ'):
        try:
            if MARK.encode() in environment.read_bytes().split(b'\0'):
                found.add(int(environment.parent.name))
        except OSError:  # ended meanwhile, or another user's
            continue
    return found - {os.getpid()}


class TestRespawn(unittest.TestCase):
    """While launch runs."""

    def test_killed_node_comes_back_and_labels_again(self) -> None:
        peer = Peer()
        peer.wait_active()
        before = marked_processes()
        self.assertEqual(len(before), 1)
        os.kill(before.pop(), signal.SIGKILL)
        labels = peer.collect(Image, f'{NAME}/label_image')
        camera = peer.camera()
        peer.feed(camera, photo_message(9), lambda: labels)
        self.assertEqual(labels[0].header.stamp.nanosec, 9)
        peer.close()


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    """After launch has sent SIGINT."""

    def test_second_process_ends_cleanly(self, proc_info) -> None:
        until(lambda: not marked_processes(), 'no process is left', timeout_s=20)
        codes = [info.returncode for info in proc_info]
        self.assertEqual(codes[-1], 0)
