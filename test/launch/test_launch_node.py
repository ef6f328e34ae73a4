"""semantic_fast_sam.launch.py as a user starts it: an image in, each output out, a clean end."""

import unittest

import pytest

pytest.importorskip('launch_testing', reason='launch_testing is missing: source a ROS 2')

import launch_testing.actions
import launch_testing.asserts
from harness import LATCHED, Diagnosis, Peer, photo_message, until
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launched import launch_file, parameter_file
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray, LabelInfo

FILE = launch_file('semantic_fast_sam.launch.py')
NODE = '/robot/semantic_fast_sam'
CAMERA = '/cam/image_raw'
KINDS = {
    'label_image': Image,
    'confidence': Image,
    'instances': Image,
    'overlay': Image,
    'overlay/compressed': CompressedImage,
    'detections': Detection2DArray,
}


@pytest.mark.launch_test
@pytest.mark.timeout(400)
def generate_test_description() -> LaunchDescription:
    """Start the node in a namespace, with a camera topic and a parameter file of its own."""
    arguments = {
        'namespace': 'robot',
        'image_topic': CAMERA,
        'params_file': parameter_file(),
        'device': 'cpu',
        'log_level': 'info',
    }
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(FILE), launch_arguments=arguments.items()
    )
    return LaunchDescription([node, launch_testing.actions.ReadyToTest()])


class TestRunningNode(unittest.TestCase):
    """While the node runs."""

    @classmethod
    def setUpClass(cls) -> None:
        """Join the graph; wait for the node."""
        cls.peer = Peer()
        cls.peer.wait_active(NODE)

    @classmethod
    def tearDownClass(cls) -> None:
        """Leave the graph."""
        cls.peer.close()

    def test_each_output_is_received_with_the_header_of_the_image(self) -> None:
        inboxes = {
            topic: self.peer.collect(kind, f'{NODE}/{topic}') for topic, kind in KINDS.items()
        }
        sent = photo_message(77)
        self.peer.feed(self.peer.camera(CAMERA), sent, lambda: all(inboxes.values()))
        for topic, inbox in inboxes.items():
            self.assertEqual(inbox[0].header, sent.header, topic)
        for topic in ('label_image', 'confidence', 'instances', 'overlay'):
            image = inboxes[topic][0]
            self.assertEqual((image.height, image.width), (sent.height, sent.width), topic)

    def test_label_info_and_diagnostics_are_received(self) -> None:
        label_info = self.peer.collect(LabelInfo, f'{NODE}/label_info', LATCHED)
        until(lambda: label_info, 'label info')
        self.assertIn('road', [c.class_name for c in label_info[0].class_map])
        diagnosis = Diagnosis(self.peer)
        until(lambda: diagnosis.value('state') == 'active', 'diagnostics')
        self.assertTrue(diagnosis.status.name.startswith(NODE))


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    """After launch has sent SIGINT."""

    def test_node_ends_cleanly(self, proc_info, proc_output) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
        written = ''.join(event.text.decode(errors='replace') for event in proc_output)
        self.assertIn('waiting for images on /cam/image_raw', written)
        self.assertNotIn('Traceback', written)
