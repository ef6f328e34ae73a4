"""The stages after the pipeline: the overlay, and with ROS the messages and their way out."""

import contextlib
import itertools
import subprocess
import sys
import time

from semantic_fast_sam_ros.benchmarking.clock import elapsed_ms
from semantic_fast_sam_ros.benchmarking.scenes import Rgb
from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.frame_outputs import Content, frame_contents
from semantic_fast_sam_ros.core.settings.node import OutputSettings

TOPICS = ('label_image', 'confidence', 'overlay')  # what Nav2 and RViz take
NAMESPACE = 'semantic_fast_sam_benchmark'
DISCOVERY_LIMIT_S = 30.0
END_S = 10.0


class RenderOnly:
    """Without ROS: the overlay and what else the messages would contain."""

    def __init__(self, settings: OutputSettings) -> None:
        """Take the look of the overlay."""
        self._settings = settings

    def close(self) -> None:
        """Release what there is."""

    def time(self, image: Rgb, result: SegmentationResult) -> dict[str, float]:
        """Build the contents; return the milliseconds."""
        return {'render': elapsed_ms(lambda: self._contents(image, result))}

    def _contents(self, image: Rgb, result: SegmentationResult) -> list[tuple[str, Content]]:
        return list(frame_contents(image, result, self._settings, TOPICS))


class Published(RenderOnly):
    """With ROS: the messages go to a subscriber in another process."""

    def __init__(self, settings: OutputSettings) -> None:
        """Start ROS and the subscriber; raises SemanticFastSamError if they do not meet."""
        super().__init__(settings)
        import rclpy
        from sensor_msgs.msg import Image

        from semantic_fast_sam_ros.ros import qos

        rclpy.init(args=[])
        self._node = rclpy.create_node(NAMESPACE)
        profile = qos.output_qos(settings.reliability, settings.depth)
        self._publishers = {
            topic: self._node.create_publisher(Image, f'{NAMESPACE}/{topic}', profile)
            for topic in TOPICS
        }
        self._listener = subprocess.Popen([sys.executable, '-m', __name__])
        self._wait()

    def close(self) -> None:
        """End the subscriber and ROS."""
        from semantic_fast_sam_ros.ros.shutdown import shut_down

        self._listener.terminate()
        try:
            self._listener.wait(END_S)
        except subprocess.TimeoutExpired:  # seen once, on a busy machine
            self._listener.kill()
            self._listener.wait()
        self._node.destroy_node()  # type: ignore[no-untyped-call]
        shut_down()

    def time(self, image: Rgb, result: SegmentationResult) -> dict[str, float]:
        """Render, serialise and publish; return the milliseconds of each."""
        from rclpy.serialization import serialize_message
        from std_msgs.msg import Header

        from semantic_fast_sam_ros.ros.conversions import to_message

        started = time.perf_counter()
        contents = self._contents(image, result)
        rendered = time.perf_counter()
        header = Header(stamp=self._node.get_clock().now().to_msg())
        packed = [(t, serialize_message(to_message(content, header))) for t, content in contents]
        serialised = time.perf_counter()
        for topic, data in packed:
            self._publishers[topic].publish(data)
        published = time.perf_counter()
        marks = (started, rendered, serialised, published)
        spent = [1000 * (b - a) for a, b in itertools.pairwise(marks)]
        return dict(zip(('render', 'serialise', 'publish'), spent, strict=True))

    def _wait(self) -> None:
        deadline = time.monotonic() + DISCOVERY_LIMIT_S
        while not all(p.get_subscription_count() for p in self._publishers.values()):
            if time.monotonic() > deadline or self._listener.poll() is not None:
                self.close()
                raise SemanticFastSamError('the subscriber of the benchmark did not appear')
            time.sleep(0.05)


def output_stages(settings: OutputSettings) -> RenderOnly:
    """Return the stages that can be timed here."""
    try:
        import rclpy  # noqa: F401
        import sensor_msgs.msg  # noqa: F401
    except ImportError:
        return RenderOnly(settings)
    return Published(settings)


def listen() -> None:
    """Subscribe until the process is ended."""
    import rclpy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node(f'{NAMESPACE}_listener')
    for topic in TOPICS:
        node.create_subscription(Image, f'{NAMESPACE}/{topic}', lambda message: None, 1)
    with contextlib.suppress(KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    listen()
