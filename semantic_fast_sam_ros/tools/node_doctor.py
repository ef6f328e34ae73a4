"""Ask a running node how it is, and say in words what is wrong with it."""

import contextlib
import difflib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from semantic_fast_sam_ros.ros import connections
from semantic_fast_sam_ros.tools.findings import Finding
from semantic_fast_sam_ros.tools.judgement import judge_frames, judge_transport

SEARCH_S = 7.0  # for the node to be seen: DDS repeats a lost announcement after three seconds
DISCOVERY_S = 10.0  # for the services and topics of a node that was seen
ANSWER_S, ATTEMPTS = 2.0, 4
DIAGNOSTICS_S = 10.0  # for diagnostics over WATCH_S; their period is a second by default
WATCH_S = 2.0  # for rates
IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
WHAT_TO_DO = {
    'unconfigured': 'ros2 lifecycle set {node} configure (its log says if that was tried)',
    'inactive': 'ros2 lifecycle set {node} activate',
    'finalized': 'it was shut down: start it again',
}
JUDGED = ('frames_received', 'frames_dropped_idle', 'frames_refused')
ASKED = ('use_sim_time', 'input.transport')


class NodeDoctor:
    """Looks at one running node from outside."""

    def __init__(self, name: str) -> None:
        """Join the graph.

        Args:
            name: of the node, such as '/semantic_fast_sam'.
        """
        self.name = '/' + name.strip('/')
        self._context = Context()
        rclpy.init(context=self._context, args=[])
        self._node = Node(f'doctor_{os.getpid()}', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        # When they came, and what they say.
        self._reports: list[tuple[float, DiagnosticStatus]] = []
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._heard, 10)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.shutdown()

    def examine(self) -> Iterator[Finding]:
        """Look at one thing after another, as long as it makes sense."""
        if not self._wait(lambda: self.name in self._names(), SEARCH_S):
            yield self._not_there()
            return
        yield Finding('ok', 'node', f'{self.name} runs')
        state = self._state()
        self._wait(lambda: self._watched_s() >= WATCH_S, DIAGNOSTICS_S)
        if (count := self._names().count(self.name)) > 1:
            text = f'{count} are seen under this name; unless one was just killed, stop one'
            yield Finding('note', 'node', text)
        yield from self._judge_state(state)
        parameters = self._parameters()
        yield from self._judge_time(parameters)
        if state == 'active':
            yield from self._judge_input(parameters)
        yield from self._judge_reports(state)

    # What is seen

    def _heard(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f'{self.name}: segmentation':
                self._reports.append((time.monotonic(), status))

    def _names(self) -> list[str]:
        found = self._node.get_node_names_and_namespaces()
        return [f'{space.rstrip("/")}/{name}' for name, space in found]

    def _wait(self, predicate: Callable[[], Any], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not predicate():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.1)
        return True

    def _ask(self, kind: Any, service: str, request: Any) -> Any:
        """Return the answer of a service; None if there is none."""
        client = self._node.create_client(kind, f'{self.name}/{service}')
        try:
            if not self._wait(client.service_is_ready, DISCOVERY_S):
                return None
            for _ in range(ATTEMPTS):  # an answer may get lost while the peers discover each other
                future = client.call_async(request)
                if self._wait(future.done, ANSWER_S):
                    return future.result()
            return None
        finally:
            self._node.destroy_client(client)

    def _state(self) -> str:
        answer = self._ask(GetState, 'get_state', GetState.Request())
        return str(answer.current_state.label) if answer else ''

    def _parameters(self) -> dict[str, Any]:
        answer = self._ask(GetParameters, 'get_parameters', GetParameters.Request(names=ASKED))
        values = [parameter_value_to_python(value) for value in answer.values] if answer else []
        return dict(zip(ASKED, values, strict=False))

    def _image_topics(self) -> list[str]:
        """Return the topics that the node takes images from."""
        return [
            topic
            for topic, kinds in self._node.get_topic_names_and_types()
            if not set(IMAGE_TYPES).isdisjoint(kinds)
            and any(
                connections.who(subscriber) == self.name
                for subscriber in self._node.get_subscriptions_info_by_topic(topic)
            )
        ]

    # What is made of it

    def _not_there(self) -> Finding:
        names = [name for name in self._names() if not name.startswith('/doctor_')]
        close = difflib.get_close_matches(self.name, names, n=1, cutoff=0.5)
        hint = (
            f'did you mean {close[0]}?' if close else f'nodes there: {", ".join(names) or "none"}'
        )
        domain = os.environ.get('ROS_DOMAIN_ID', '0')
        return Finding('WRONG', 'node', f'{self.name} is not running in domain {domain}; {hint}')

    def _judge_state(self, state: str) -> Iterator[Finding]:
        if not state:
            text = 'it does not answer: it loads models, or it hangs; ask again in a minute'
            yield Finding('WRONG', 'lifecycle', text)
        elif state == 'active':
            yield Finding('ok', 'lifecycle', state)
        else:
            advice = WHAT_TO_DO.get(state, 'a transition is under way: ask again')
            yield Finding('WRONG', 'lifecycle', f'{state}: {advice.format(node=self.name)}')

    def _judge_time(self, parameters: Mapping[str, Any]) -> Iterator[Finding]:
        if parameters.get('use_sim_time') and not self._node.count_publishers('/clock'):
            yield Finding('WRONG', 'clock', 'use_sim_time is true, but nobody publishes /clock')

    def _judge_input(self, parameters: Mapping[str, Any]) -> Iterator[Finding]:
        self._wait(self._image_topics, DISCOVERY_S)
        for topic in self._image_topics():
            publishers = self._node.get_publishers_info_by_topic(topic)
            if publishers:
                names = sorted(
                    {f'{p.node_namespace.rstrip("/")}/{p.node_name}' for p in publishers}
                )
                yield Finding('ok', f'input {topic}', f'published by {", ".join(names)}')
                continue
            others = self._published_images(parameters.get('input.transport', 'raw'))
            hint = f'images are on {", ".join(others)}: remap' if others else 'no camera runs'
            yield Finding('WRONG', f'input {topic}', f'no publisher; {hint}')

    def _published_images(self, transport: str) -> list[str]:
        wanted = IMAGE_TYPES[transport == 'compressed']
        topics = self._node.get_topic_names_and_types()
        return [
            topic
            for topic, kinds in topics
            if wanted in kinds
            and not topic.startswith(f'{self.name}/')
            and self._node.count_publishers(topic)
        ]

    def _judge_reports(self, state: str) -> Iterator[Finding]:
        if not self._reports:
            yield Finding(
                'WRONG',
                'diagnostics',
                'none came: its executor hangs, or /diagnostics is remapped',
            )
            return
        status = self._reports[-1][1]
        values = {value.key: value.value for value in status.values}
        bad = status.level != DiagnosticStatus.OK
        for text in status.message.split('; ') if bad else ():
            yield Finding('WRONG', 'it says', text)
        if values.get('last_error') and not bad:
            yield Finding('note', 'last error', values['last_error'])
        yield from judge_transport(values)
        if state == 'active':
            yield from judge_frames(values, *(self._rate_hz(name) for name in JUDGED))

    def _watched_s(self) -> float:
        return self._reports[-1][0] - self._reports[0][0] if self._reports else 0.0

    def _rate_hz(self, count: str) -> float:
        """Return how fast a count of frames grew between the first and the last diagnostics."""
        (_, first), (_, last) = self._reports[0], self._reports[-1]
        before, after = (
            int(next((v.value for v in status.values if v.key == count), 0))
            for status in (first, last)
        )
        return (after - before) / max(self._watched_s(), 1e-3)


def examine(name: str) -> Iterator[Finding]:
    """Examine a running node by name."""
    with contextlib.closing(NodeDoctor(name)) as doctor:
        yield from doctor.examine()
