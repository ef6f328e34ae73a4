"""A node with the real one's topics, parameters and lifecycle, but painted labels: it is light."""

import contextlib
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spinning import Spinning

from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.ros.parameters import NodeParameters

HEIGHT, WIDTH = 120, 160
PERIOD_S = 0.2
DONE = TransitionCallbackReturn.SUCCESS


class StandIn(LifecycleNode):
    """Paints one class left of a moving border, another right of it; a mask is the right part."""

    def __init__(self, name: str, context: rclpy.Context) -> None:
        super().__init__(name, context=context)
        self.parameters = NodeParameters(self)
        self.parameters.change_vocabulary = lambda new: vocabulary_files.resolve(new.vocabulary)
        self.set_parameters([rclpy.Parameter('vocabulary', value='road, car | van')])
        self.frames = 0
        self._state = 'unconfigured'
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._create()
        self.create_timer(PERIOD_S, self._tick)

    def _create(self) -> None:
        kinds = {'label_image': Image, 'confidence': Image, 'instances': Image}
        kinds |= {'detections': Detection2DArray, 'overlay/compressed': CompressedImage}
        self.outputs = {
            topic: self.create_publisher(kind, f'~/{topic}', 2) for topic, kind in kinds.items()
        }
        self.answers = {
            'query/detections': self.create_publisher(Detection2DArray, '~/query/detections', 2),
            'query/heat': self.create_publisher(Image, '~/query/heat', 2),
        }
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._names = self.create_publisher(LabelInfo, '~/label_info', latched)
        self._announced: tuple[str, ...] = ()
        self.query = ''
        self.create_subscription(String, '~/query', self._hear, latched)

    def _hear(self, message: String) -> None:
        self.query = message.data

    def on_configure(self, state: object) -> TransitionCallbackReturn:
        self.parameters.locked, self._state = True, 'inactive'
        return DONE

    def on_activate(self, state: object) -> TransitionCallbackReturn:
        self._state = 'active'
        return super().on_activate(state)

    def on_deactivate(self, state: object) -> TransitionCallbackReturn:
        self._state = 'inactive'
        return super().on_deactivate(state)

    def on_cleanup(self, state: object) -> TransitionCallbackReturn:
        self.parameters.locked, self._state = False, 'unconfigured'
        return DONE

    def _tick(self) -> None:
        if self._state == 'active':
            self.frames += 1
            self._publish(Header(stamp=self.get_clock().now().to_msg(), frame_id='camera'))
        values = {'state': self._state, 'rate_hz': '5.00', 'age_ms': f'{10 + self.frames % 7}.0'}
        values |= {'frames_received': str(2 * self.frames), 'frames_dropped': str(self.frames)}
        status = DiagnosticStatus(name=f'{self.get_fully_qualified_name()}: segmentation')
        status.message = '5.0 Hz'
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        self._diagnostics.publish(DiagnosticArray(status=[status]))

    def _publish(self, header: Header) -> None:
        settings = self.parameters.current
        names = vocabulary_files.resolve(settings.vocabulary).names
        if names != self._announced:
            classes = [VisionClass(class_id=i, class_name=n) for i, n in enumerate(names, 1)]
            self._names.publish(LabelInfo(header=header, class_map=classes))
            self._announced = names
        border = 40 + 3 * (self.frames % 20)
        labels = np.full((HEIGHT, WIDTH), 1 if settings.vote.keep_dense else 0, np.uint8)
        labels[:, border:] = len(names)
        mask = np.zeros((HEIGHT, WIDTH), np.uint16)
        mask[:, border:] = 1
        if self.query:
            self._answer(mask, header)
        self._send('label_image', 'mono8', labels, header)
        self._send('confidence', 'mono8', np.where(labels > 0, 204, 0).astype(np.uint8), header)
        self._send('instances', 'mono16', mask, header)
        self.outputs['detections'].publish(_detections(names[-1], header))
        picture = cv2.merge([labels * 60, labels * 30, np.full_like(labels, self.frames % 250)])
        jpeg = cv2.imencode('.jpg', picture)[1].tobytes()
        self.outputs['overlay/compressed'].publish(
            CompressedImage(header=header, format='jpeg', data=jpeg)
        )

    def _answer(self, mask: np.ndarray, header: Header) -> None:
        """Find the mask by every query but nonsense."""
        found = _detections(self.query, header)
        if self.query == 'nonsense':
            found.detections.clear()
        heat = (mask * (30 if self.query == 'nonsense' else 191)).astype(np.uint8)
        self.answers['query/detections'].publish(found)
        self._send('query/heat', 'mono8', heat, header)

    def _send(self, topic: str, encoding: str, pixels: np.ndarray, header: Header) -> None:
        image = Image(header=header, height=HEIGHT, width=WIDTH, encoding=encoding)
        image.step, image.data = pixels.strides[0], pixels.tobytes()
        (self.outputs | self.answers)[topic].publish(image)


def _detections(name: str, header: Header) -> Detection2DArray:
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, 0.75
    found = Detection2D(header=header, id='1', results=[hypothesis])
    return Detection2DArray(header=header, detections=[found])


class RunningStandIn(Spinning[StandIn]):
    """The stand-in, active."""

    def __init__(self, name: str) -> None:
        super().__init__(lambda context: StandIn(name, context))
        self.node.trigger_configure()
        self.node.trigger_activate()

    def subscribers(self) -> int:
        """Return the number of subscribers of all topics that cost something."""
        return sum(output.get_subscription_count() for output in self.node.outputs.values())


if __name__ == '__main__':  # as a process of its own, named by its argument
    running = RunningStandIn(sys.argv[1])
    print('active', flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    running.close()
