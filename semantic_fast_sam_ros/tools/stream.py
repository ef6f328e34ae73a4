"""Publish images from a folder, video, webcam or rosbag as a camera topic."""

import argparse
import itertools
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from semantic_fast_sam_ros.core.errors import SemanticFastSamError
from semantic_fast_sam_ros.tools.sources import Frame, open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        'source',
        nargs='?',
        default='',
        help='image folder, video file, /dev/videoN, rosbag2 folder or .mcap '
        '(default: a street photo under a virtual camera)',
    )
    parser.add_argument('--topic', default='image', help='topic to publish on (default: image)')
    parser.add_argument('--bag-topic', default='', help='image topic of a bag (default: its first)')
    parser.add_argument('--rate', type=float, default=10.0, help='images a second (default: 10)')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--frame-id', default='camera', help='frame_id of the headers')
    parser.add_argument(
        '--wait', action='store_true', help='publish nothing until somebody subscribes'
    )
    parser.add_argument('--count-file', type=Path, help='write the number of images published here')


def run(arguments: argparse.Namespace, ros_arguments: list[str] | None = None) -> int:
    """Publish until the source ends or SIGINT or SIGTERM arrives."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from semantic_fast_sam_ros.ros.conversions import array_to_image

    if not arguments.rate > 0:
        raise SemanticFastSamError(f'--rate must be positive, not {arguments.rate}')
    rclpy.init(args=ros_arguments or [])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    node = Node('image_stream')
    publisher = node.create_publisher(Image, arguments.topic, QoSProfile(depth=5))
    count = 0
    try:
        while arguments.wait and rclpy.ok() and publisher.get_subscription_count() == 0:
            rclpy.spin_once(node, timeout_sec=0.05)
        for frame in _paced(_frames(arguments), arguments.rate):
            if not rclpy.ok():
                break
            header = Header(stamp=node.get_clock().now().to_msg(), frame_id=arguments.frame_id)
            publisher.publish(array_to_image(frame.image, 'rgb8', header))
            count += 1
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        if arguments.count_file:
            arguments.count_file.write_text(json.dumps(count))
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _frames(arguments: argparse.Namespace) -> Iterator[Frame]:
    rounds = itertools.count() if arguments.loop else range(1)
    for _ in rounds:
        yield from open_source(arguments.source, arguments.bag_topic)


def _paced(frames: Iterator[Frame], rate: float) -> Iterator[Frame]:
    """Give out frames at a rate; one that comes late does not hurry the next."""
    due = time.monotonic()
    for frame in frames:
        time.sleep(max(0.0, due - time.monotonic()))
        yield frame
        due = max(due + 1 / rate, time.monotonic())


def main_ros() -> int:
    """Run as a ROS executable: `ros2 run semantic_fast_sam_ros image_stream SOURCE --ros-args ...`."""
    from rclpy.utilities import remove_ros_args

    parser = argparse.ArgumentParser(prog='image_stream', description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args(remove_ros_args(sys.argv)[1:]), sys.argv)
    except SemanticFastSamError as error:
        print(f'image_stream: {error}', file=sys.stderr)
        return 2
