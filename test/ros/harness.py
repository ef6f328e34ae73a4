"""Run the node, and watch it from outside over DDS."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import ultralytics
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from spinning import Spinning
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve
from semantic_fast_sam_ros.ros.conversions import array_to_image
from semantic_fast_sam_ros.ros.counts import Counts
from semantic_fast_sam_ros.ros.node import SemanticFastSamNode

ROOT = Path(__file__).resolve().parents[2]
NAME = '/semantic_fast_sam'
HEIGHT, WIDTH = 120, 160
TIMEOUT_S = 100.0  # a start takes 10 s on a quiet machine, 50 on one that trains
ANSWER_S = 15.0  # a service answers within it, unless the answer is lost
GOALS = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVE_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
}
# The shipped models, small enough for a busy machine.
QUICK = {
    'masks.image_size': 160,
    'dense.image_size': 120,
    'threads': 1,
    'offline': True,
    'output.diagnostics_period_s': 0.1,
    'rest_without_subscribers': False,
}
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def until(predicate: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Return the predicate's value once it is true; fail with `what` after a deadline."""
    deadline = time.monotonic() + timeout_s
    while not (value := predicate()):
        assert time.monotonic() < deadline, f'not within {timeout_s:.0f} s: {what}'
        time.sleep(0.01)
    return value


def street(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Return a street photo that ultralytics ships, (height, width, 3) RGB."""
    path = Path(ultralytics.__file__).parent / 'assets' / 'bus.jpg'
    return cv2.resize(read_image(path), (width, height), interpolation=cv2.INTER_AREA)


def header(number: int = 1) -> Header:
    """Return a header like no other."""
    made = Header(frame_id=f'camera_{number}/optical')
    made.stamp.sec, made.stamp.nanosec = int(time.time()), number
    return made


def photo_message(number: int = 1, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """Return the street photo as a camera sends it."""
    return array_to_image(street(height, width), 'rgb8', header(number))


def all_things() -> str:
    """Return the names of the shipped models as a vocabulary in which each is one of things."""
    words = resolve('embedded').classes
    return f'classes: [{", ".join(f"{{name: {c.name}, thing: true}}" for c in words)}]'


class Peer(Spinning[Node]):
    """A node beside the one that is tested: camera and observer."""

    def __init__(self, name: str = 'observer') -> None:
        super().__init__(lambda context: Node(name, context=context))
        self._clients: dict[str, Client] = {}

    def collect(self, kind: Any, topic: str, profile: QoSProfile = RELIABLE) -> list[Any]:
        """Return a list that fills with what arrives on a topic."""
        inbox: list[Any] = []
        self.node.create_subscription(kind, topic, inbox.append, profile)
        return inbox

    def camera(
        self, topic: str = '/image', kind: Any = Image, profile: QoSProfile = RELIABLE
    ) -> Publisher:
        """Return a publisher."""
        return self.node.create_publisher(kind, topic, profile)

    def feed(self, camera: Publisher, message: Any, predicate: Callable[[], Any]) -> Any:
        """Publish a message again and again until the predicate is true; return its value."""
        sent = [0.0]

        def tried() -> Any:
            if time.monotonic() - sent[0] > 0.3:
                camera.publish(message)
                sent[0] = time.monotonic()
            return predicate()

        return until(tried, 'an answer to the published image')

    def client(self, kind: Any, service: str) -> Client:
        """Return the client of a service, once the service is there."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        until(self._clients[service].service_is_ready, f'service {service}')
        return self._clients[service]

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service that may be called twice; return the answer.

        A server gives an answer up that a client discovered late cannot take yet.
        """
        client = self.client(kind, service)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            future = client.call_async(request)
            with contextlib.suppress(AssertionError):
                until(future.done, service, ANSWER_S)
                return future.result()
        raise AssertionError(f'no answer of {service} within {TIMEOUT_S:.0f} s')

    def change(self, transition: int, node: str = NAME) -> bool:
        """Ask for a lifecycle transition; return whether it succeeded."""
        client = self.client(ChangeState, f'{node}/change_state')
        request = ChangeState.Request(transition=Transition(id=transition))
        for _ in range(3):
            future = client.call_async(request)
            with contextlib.suppress(AssertionError):
                until(future.done, 'the transition', 2 * ANSWER_S)
                return bool(future.result().success)
            # The answer may be lost, or the question; the state is told after the transition.
            if self.state(node) == GOALS[transition]:
                return True
        return False

    def state(self, node: str = NAME) -> int:
        """Return the lifecycle state, such as State.PRIMARY_STATE_ACTIVE."""
        return int(self.call(GetState, f'{node}/get_state', GetState.Request()).current_state.id)

    def wait_active(self, node: str = NAME) -> None:
        """Wait until the node is active; while it loads models it answers nobody."""
        deadline = time.monotonic() + 3 * TIMEOUT_S
        while True:
            try:
                until(lambda: self.state(node) == State.PRIMARY_STATE_ACTIVE, f'{node} active')
                return
            except AssertionError:
                if time.monotonic() > deadline:
                    raise

    def set(self, name: str, value: object, node: str = NAME) -> SetParametersResult:
        """Set a parameter over the service."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return self.call(SetParameters, f'{node}/set_parameters', request).results[0]

    def get(self, name: str, node: str = NAME) -> object:
        """Return a parameter's value over the service."""
        request = GetParameters.Request(names=[name])
        answer = self.call(GetParameters, f'{node}/get_parameters', request)
        return parameter_value_to_python(answer.values[0])


class Diagnosis:
    """The newest diagnostics of the node."""

    def __init__(self, peer: Peer) -> None:
        self._inbox = peer.collect(DiagnosticArray, '/diagnostics')

    @property
    def status(self) -> DiagnosticStatus | None:
        """The newest status, if there is one."""
        return self._inbox[-1].status[0] if self._inbox else None

    @property
    def stamp(self) -> Time | None:
        """The node's time when it sent the newest, if there is one."""
        return self._inbox[-1].header.stamp if self._inbox else None

    def value(self, key: str) -> str:
        """Return a value of the newest status; '' if there is none."""
        values = self.status.values if self.status else []
        return next((v.value for v in values if v.key == key), '')

    def until_message(self, *parts: str) -> DiagnosticStatus:
        """Wait for a status whose message has all the parts; return it."""

        def found() -> DiagnosticStatus | None:
            current = self.status
            return current if current and all(part in current.message for part in parts) else None

        try:
            return until(found, f'diagnostics with {parts}')
        except AssertionError as error:
            raise AssertionError(f'{error}; last: {self.status}') from None


class RunningNode(Spinning[SemanticFastSamNode]):
    """The real node in this process."""

    def __init__(self, *ros_arguments: str, **settings: object) -> None:
        """Start it.

        Args:
            ros_arguments: what `ros2 run` would get after --ros-args.
            settings: by name, dots written as double underscores.
        """
        values = QUICK | {name.replace('__', '.'): value for name, value in settings.items()}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        super().__init__(
            lambda context: SemanticFastSamNode(
                context=context,
                parameter_overrides=overrides,
                cli_args=['--ros-args', *ros_arguments],
            )
        )

    @property
    def counts(self) -> Counts:
        """What became of the images so far."""
        return self.node._worker.counts

    @property
    def pipeline(self) -> SemanticFastSam | None:
        """The models while they are loaded."""
        return self.node._frames.pipeline

    def active(self) -> bool:
        """Return whether it listens to its cameras."""
        return any(camera._subscription is not None for camera in self.node._cameras)

    def _end(self) -> None:
        self.node.close()


@contextlib.contextmanager
def active_node(*ros_arguments: str, **settings: object) -> Iterator[RunningNode]:
    """Give the node in this process, active; arguments as of `RunningNode`."""
    with contextlib.closing(RunningNode(*ros_arguments, **settings)) as running:
        until(running.active, 'the node is active', 3 * TIMEOUT_S)
        yield running


class NodeProcess:
    """The real node in a process of its own."""

    def __init__(
        self, log: Path, *ros_arguments: str, quick: bool = True, script: Path | None = None
    ) -> None:
        """Start it with arguments after --ros-args, or a script that does; log to a file."""
        values = QUICK.items() if quick else ()
        given = [word for name, value in values for word in ('-p', f'{name}:={text(value)}')]
        program = [str(script)] if script else ['-m', 'semantic_fast_sam_ros.ros.process']
        command = [sys.executable, *program, '--ros-args']
        self.log = log
        with log.open('w') as output:
            self.process = subprocess.Popen(
                [*command, *given, *ros_arguments],
                cwd=ROOT,
                env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def until_logged(self, part: str) -> None:
        """Wait for a part of a log line."""
        assert until(lambda: part in self.log.read_text() or self.process.poll() is not None, part)
        assert part in self.log.read_text(), self.log.read_text()

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once the process ends."""
        return self.process.wait(TIMEOUT_S)

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def text(value: object) -> str:
    """Return a value as a ROS command line writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
