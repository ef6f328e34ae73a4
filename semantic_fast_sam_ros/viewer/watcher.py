"""The viewer's ROS side: subscribes to a node while somebody watches, calls its services."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from vision_msgs.msg import Detection2DArray, LabelInfo

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.ros import qos
from semantic_fast_sam_ros.ros.shutdown import shut_down, spin
from semantic_fast_sam_ros.viewer.frames import ANSWERS, PARTS, Frame, FrameAssembler

TYPES = {
    'detections': Detection2DArray,
    'overlay/compressed': CompressedImage,
    'query/detections': Detection2DArray,
}
DEFAULT_NODE = '/semantic_fast_sam'
LABEL_INFO = 'vision_msgs/msg/LabelInfo'
LOOK_PERIOD_S = 0.5
SERVICE_WAIT_S = 3.0


class NodeAbsentError(SemanticFastSamError):
    """The watched node does not answer."""


class Watcher:
    """A ROS node on a thread of its own; what it hears goes to three functions, on that thread."""

    def __init__(
        self,
        target: str,
        on_frame: Callable[[Frame], None],
        on_names: Callable[[dict[int, str]], None],
        on_status: Callable[[dict[str, Any]], None],
    ) -> None:
        """Start ROS.

        Args:
            target: the node to watch, fully qualified; empty: the first that publishes labels.
            on_frame: hears of each complete frame.
            on_names: hears of the class ids and names.
            on_status: hears of the node's diagnostics, and whether it is there.
        """
        self.target = target or DEFAULT_NODE
        self._on_frame, self._on_names, self._on_status = on_frame, on_names, on_status
        self._find = not target
        self._wanted = False
        self._sought = ''
        self._asker: Publisher | None = None
        self._assembler = FrameAssembler()
        self._subscriptions: list[Subscription] = []  # to what a configured node publishes
        self._diagnostics: Subscription | None = None
        self._clients: dict[str, Any] = {}
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node(
            'semantic_fast_sam_viewer',
            context=self._context,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._look_timer = self._node.create_timer(LOOK_PERIOD_S, self._look)
        self._look_timer.cancel()
        self._thread = threading.Thread(
            target=spin, args=(self._executor,), name='viewer_ros', daemon=True
        )
        self._thread.start()

    def watch(self, wanted: bool) -> None:
        """Subscribe, or give all subscriptions up."""
        self._wanted = wanted
        self._executor.create_task(self._start if wanted else self._stop)

    def search(self, text: str) -> None:
        """Ask the node to look for words; for nothing any more with none."""
        self._executor.create_task(self._search, text)

    def close(self) -> None:
        """Stop ROS."""
        shut_down(self._context)
        self._thread.join(timeout=5.0)
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()

    async def call(self, kind: Any, name: str, request: Any, timeout_s: float = 10.0) -> Any:
        """Call a service of the watched node.

        Args:
            kind: service type.
            name: below the node's name, such as `get_parameters`.
            request: to send.
            timeout_s: for the answer.

        Raises:
            NodeAbsentError: nobody offers the service, or no answer came in time.
        """
        full = f'{self.target}/{name}'
        if full not in self._clients:
            self._clients[full] = self._node.create_client(kind, full)
        client = self._clients[full]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SERVICE_WAIT_S
        while not client.service_is_ready():
            if loop.time() > deadline:
                raise NodeAbsentError(f'no node offers {full}')
            await asyncio.sleep(0.05)
        answer: asyncio.Future[Any] = loop.create_future()

        def pass_on(future: Any) -> None:
            loop.call_soon_threadsafe(_settle, answer, future)

        pending = client.call_async(request)
        pending.add_done_callback(pass_on)
        try:
            return await asyncio.wait_for(answer, timeout_s)
        except asyncio.TimeoutError as error:
            client.remove_pending_request(pending)
            raise NodeAbsentError(f'{full} gave no answer within {timeout_s:.0f} s') from error

    def _start(self) -> None:
        if self._wanted and self._diagnostics is None:
            self._diagnostics = self._node.create_subscription(
                DiagnosticArray, '/diagnostics', self._receive_diagnostics, 10
            )
            self._look_timer.reset()
            self._look()

    def _stop(self) -> None:
        if self._wanted:
            return  # somebody came back meanwhile
        self._look_timer.cancel()
        self._unsubscribe()
        if self._diagnostics is not None:
            self._node.destroy_subscription(self._diagnostics)
            self._diagnostics = None

    def _search(self, text: str) -> None:
        before, self._sought = self._sought, text
        self._ask()
        if bool(before) != bool(text) and self._subscriptions:
            self._unsubscribe()
            self._subscribe()

    def _ask(self) -> None:
        """Tell the watched node what is looked for; latched, so that a later one hears it."""
        topic = f'{self.target}/query'
        if self._asker is not None and self._asker.topic_name != topic:
            self._node.destroy_publisher(self._asker)
            self._asker = None
        if self._asker is None:
            if not self._sought:
                return
            self._asker = self._node.create_publisher(String, topic, qos.latched_qos())
        self._asker.publish(String(data=self._sought))

    def _look(self) -> None:
        """Follow the node's coming and going: QoS and names are taken afresh each time."""
        if self._find and not self._publishes(self.target):
            self.target = next(iter(self._candidates()), self.target)
        there = self._publishes(self.target)
        if there and not self._subscriptions:
            self._subscribe()
        elif not there and self._subscriptions:
            self._unsubscribe()
        names = self._node.get_node_names_and_namespaces()
        present = any(f'{space.rstrip("/")}/{name}' == self.target for name, space in names)
        self._on_status({'node': self.target, 'present': present})

    def _publishes(self, target: str) -> bool:
        return bool(self._node.count_publishers(f'{target}/label_info') > 0)

    def _candidates(self) -> list[str]:
        topics = self._node.get_topic_names_and_types()
        found = [name for name, kinds in topics if LABEL_INFO in kinds]
        names = [n.removesuffix('/label_info') for n in found if n.endswith('/label_info')]
        return sorted(name for name in names if self._publishes(name))

    def _subscribe(self) -> None:
        searching = bool(self._sought)
        self._assembler = FrameAssembler(searching)
        node, target = self._node, self.target
        offers = node.get_publishers_info_by_topic(f'{target}/{PARTS[0]}')
        lossy = any(o.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for o in offers)
        profile = qos.output_qos('best_effort' if lossy else 'reliable', depth=2)
        self._subscriptions = [
            node.create_subscription(
                TYPES.get(part, Image), f'{target}/{part}', self._receiver(part), profile
            )
            for part in (*PARTS, *(ANSWERS if searching else ()))
        ]
        self._subscriptions.append(
            node.create_subscription(
                LabelInfo, f'{target}/label_info', self._receive_names, qos.latched_qos()
            )
        )

    def _unsubscribe(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _receiver(self, part: str) -> Callable[[Any], None]:
        def receive(message: Any) -> None:
            try:
                frame = self._assembler.add(part, message)
            except ValueError as error:  # an image that contradicts itself; ROS must go on
                self._node.get_logger().warning(f'{part}: {error}', throttle_duration_sec=10.0)
                return
            if frame is not None:
                self._on_frame(frame)

        return receive

    def _receive_names(self, message: LabelInfo) -> None:
        self._on_names({c.class_id: c.class_name for c in message.class_map})

    def _receive_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self.target}:'):
                values = {v.key: v.value for v in status.values}
                level = int.from_bytes(status.level, 'little')
                self._on_status({'level': level, 'message': status.message, 'values': values})


def _settle(answer: 'asyncio.Future[Any]', future: Any) -> None:
    if not answer.done():  # it is, if the caller gave up waiting
        answer.set_result(future.result())
