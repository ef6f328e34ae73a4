"""The demo's outside subscriber: what arrives, how old it is, what it shows."""

import time
from types import TracebackType

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from semantic_fast_sam_ros.ros import qos
from semantic_fast_sam_ros.ros.shutdown import shut_down

NODE = 'semantic_fast_sam'
DISCOVERY_S = 1.0  # nodes of this machine are known a tenth of it after the start
STOP_S = 3.0
OVERLAYS_KEPT = 12
OVERLAY_PERIOD_S = 2.0


class DemoObserver(Node):
    """Subscribes to a running node as any other program would."""

    def __init__(self) -> None:
        """Start ROS; Ctrl-C is the program's, which has more to hear after it."""
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        super().__init__('semantic_fast_sam_demo')
        self._began = time.monotonic()
        self.node = f'/{NODE}'  # that is watched
        self.labelled_frames = 0
        self.latencies_ms: list[float] = []
        self.arrivals: list[float] = []
        self.overlays: list[NDArray[np.uint8]] = []
        self.pixels_of_id = np.zeros(65536, np.int64)
        self.names: dict[int, str] = {}
        self.values: dict[str, str] = {}
        self.status_text = ''
        self._last_overlay = 0.0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def taken(self, namespace: str) -> bool:
        """Return whether there is a node of our name in a namespace, '' or '/...'."""
        while (left := self._began + DISCOVERY_S - time.monotonic()) > 0 and rclpy.ok():
            self.spin(left)
        return (NODE, namespace or '/') in self.get_node_names_and_namespaces()

    def watch(self, namespace: str) -> None:
        """Subscribe to the node in a namespace, '' or '/...'."""
        self.node, depth = f'{namespace}/{NODE}', QoSProfile(depth=5)
        self.create_subscription(Image, f'{self.node}/label_image', self._on_labels, depth)
        self.create_subscription(Image, f'{self.node}/overlay', self._on_overlay, depth)
        self.create_subscription(
            LabelInfo, f'{self.node}/label_info', self._on_info, qos.latched_qos()
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def __enter__(self) -> 'DemoObserver':
        """Return the observer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop ROS."""
        self._executor.shutdown()
        self.destroy_node()
        shut_down()

    @property
    def state(self) -> str:
        """The node's lifecycle state as diagnostics tell it, '' before the first."""
        return self.values.get('state', '')

    @property
    def problem(self) -> str:
        """What keeps the node from being configured, if anything does."""
        return self.status_text if self.status_text.startswith('cannot configure') else ''

    def spin(self, seconds: float) -> None:
        """Handle what arrives within some time."""
        try:
            self._executor.spin_once(timeout_sec=seconds)
        except Exception:
            if rclpy.ok():
                raise  # otherwise Ctrl-C came, at whatever moment

    def stop_node(self) -> None:
        """Deactivate the node: it finishes its image, and misses no camera any more."""
        client = self.create_client(ChangeState, f'{self.node}/change_state')
        request = ChangeState.Request()
        request.transition.id = Transition.TRANSITION_DEACTIVATE
        deadline, answer = time.monotonic() + STOP_S, None
        while time.monotonic() < deadline and rclpy.ok() and not (answer and answer.done()):
            if answer is None and client.service_is_ready():
                answer = client.call_async(request)
            self.spin(0.05)

    def settle(self) -> None:
        """Wait for one more round of diagnostics, so that the last frames are counted."""
        before, deadline = self.values, time.monotonic() + 3.0
        while self.values is before and time.monotonic() < deadline and rclpy.ok():
            self.spin(0.1)

    def before_first_label(self) -> str:
        """Return how far the start has come while nothing is labelled yet."""
        if not self.state:
            return 'the node was still starting and had not told its state'
        if self.state != 'active':
            return f'the node was {self.state}, its models were being loaded'
        received = self.values.get('frames_received', '0')
        return f'the node was active and had received {received} images ({self.status_text})'

    def rate_hz(self) -> float:
        """Return the arrivals a second from first to last."""
        if len(self.arrivals) < 2:
            return 0.0
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    def class_shares(self) -> dict[str, float]:
        """Return the share of each class in all pixels seen, largest first."""
        total = max(1, int(self.pixels_of_id.sum()))
        shares = {
            self.names.get(int(i), 'unlabelled'): float(self.pixels_of_id[i]) / total
            for i in np.flatnonzero(self.pixels_of_id)
        }
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def status_line(self) -> str:
        """Return one line for the terminal."""
        if not self.latencies_ms:
            return 'waiting for the first labelled image ...'
        shares = list(self.class_shares().items())[:6]
        classes = ', '.join(f'{name} {100 * share:.0f} %' for name, share in shares)
        recent = float(np.median(self.latencies_ms[-20:]))
        return f'{self.rate_hz():4.1f} Hz  {recent:4.0f} ms  {classes}'

    def _on_labels(self, message: Image) -> None:
        now = self.get_clock().now()
        stamp = Time.from_msg(message.header.stamp, clock_type=now.clock_type)
        self.latencies_ms.append((now - stamp).nanoseconds / 1e6)
        self.arrivals.append(time.monotonic())
        kind = np.uint8 if message.encoding == 'mono8' else np.uint16
        counts = np.bincount(np.frombuffer(message.data, kind))
        self.pixels_of_id[: len(counts)] += counts
        self.labelled_frames += 1

    def _on_overlay(self, message: Image) -> None:
        now = time.monotonic()
        if now - self._last_overlay < OVERLAY_PERIOD_S or len(self.overlays) >= OVERLAYS_KEPT:
            return
        self._last_overlay = now
        pixels = np.frombuffer(message.data, np.uint8)
        self.overlays.append(pixels.reshape(message.height, message.width, 3).copy())

    def _on_info(self, message: LabelInfo) -> None:
        self.names.update({c.class_id: c.class_name for c in message.class_map})

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self.node}:'):
                self.values = {v.key: v.value for v in status.values}
                self.status_text = status.message
