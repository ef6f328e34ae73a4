"""demo.launch.py: the image source feeds the node, both end cleanly."""

import unittest

import pytest

pytest.importorskip('launch_testing', reason='launch_testing is missing: source a ROS 2')

import launch_testing.actions
import launch_testing.asserts
from harness import BEST_EFFORT, NAME, Peer, until
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launched import launch_file
from sensor_msgs.msg import Image

FILE = launch_file('demo.launch.py')


@pytest.mark.launch_test
@pytest.mark.timeout(400)
def generate_test_description() -> LaunchDescription:
    """Start the demo at a rate that a busy machine can follow."""
    demo = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(FILE), launch_arguments={'rate': '4.0'}.items()
    )
    return LaunchDescription([demo, launch_testing.actions.ReadyToTest()])


class TestRunningDemo(unittest.TestCase):
    """While the demo runs."""

    def test_images_of_the_source_come_out_as_overlays(self) -> None:
        peer = Peer()
        camera = peer.collect(Image, '/semantic_fast_sam_demo/image', BEST_EFFORT)
        overlays = peer.collect(Image, f'{NAME}/overlay')
        until(lambda: len(overlays) >= 2, 'two overlays', timeout_s=200)
        peer.close()
        stamps = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in camera}
        last = overlays[-1].header.stamp
        self.assertIn((last.sec, last.nanosec), stamps)
        self.assertEqual(overlays[0].encoding, 'rgb8')


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    """After launch has sent SIGINT."""

    def test_both_processes_end_cleanly(self, proc_info, proc_output) -> None:
        self.assertEqual(len(proc_info.process_names()), 2)
        launch_testing.asserts.assertExitCodes(proc_info)
        written = ''.join(event.text.decode(errors='replace') for event in proc_output)
        self.assertNotIn('Traceback', written)
