"""A node that is sent anything: images, parameters, times. It lives, counts and labels on."""

import random
import time
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as some
import pytest
from builtin_interfaces.msg import Time
from damage import damaged_compressed, damaged_image
from harness import NAME, Diagnosis, Peer, RunningNode, active_node, photo_message, until
from hypothesis import HealthCheck, given, settings
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings.setting import Setting

IMAGES = 300  # over DDS, of each kind; test_damaged_images.py decodes ten thousand
DAMAGED = {'raw': (Image, damaged_image), 'compressed': (CompressedImage, damaged_compressed)}
SETTINGS = {s.name: s for s in configuration.settings()}
LARGEST = 512  # for sizes that are allowed and would only make the test slow
# A value of any type that a parameter may have, by the field of its message.
VALUES = {
    'bool_value': (ParameterType.PARAMETER_BOOL, some.booleans()),
    'integer_value': (ParameterType.PARAMETER_INTEGER, some.integers(-(2**63), 2**63 - 1)),
    'double_value': (ParameterType.PARAMETER_DOUBLE, some.floats()),
    'string_value': (ParameterType.PARAMETER_STRING, some.text(max_size=200)),
    'byte_array_value': (ParameterType.PARAMETER_BYTE_ARRAY, some.just([b'a'])),
    'string_array_value': (
        ParameterType.PARAMETER_STRING_ARRAY,
        some.lists(some.text(max_size=9), max_size=3),
    ),
    'double_array_value': (ParameterType.PARAMETER_DOUBLE_ARRAY, some.lists(some.floats())),
}
JUMPS_S = (1000, 1001, 5000, 10, 0, 2_000_000_000, 3)


@pytest.fixture(scope='module', name='running')
def _running(tiny_models: dict[str, object]) -> Iterator[RunningNode]:
    with active_node(**named(tiny_models)) as running:
        yield running


def named(values: dict[str, object]) -> dict[str, Any]:
    """Return settings as keyword arguments."""
    return {name.replace('.', '__'): value for name, value in values.items()}


@pytest.mark.parametrize('transport', DAMAGED)
def test_damaged_images_are_counted_and_the_next_good_one_is_labelled(
    start: Any, peer: Peer, diagnosis: Diagnosis, transport: str
) -> None:
    kind, damaged = DAMAGED[transport]
    running = start(input__transport=transport, input__maximum_pixels=1 << 20)
    topic = '/image/compressed' if transport == 'compressed' else '/image'
    camera, dice = peer.camera(topic, kind), random.Random(1)
    peer.wait_active()
    until(lambda: camera.get_subscription_count(), 'the node listens')
    for _ in range(IMAGES):
        camera.publish(damaged(dice))
        time.sleep(0.002)  # a rate, so that some are processed and not all replaced
    until(lambda: settled(running), 'every frame accounted for')
    counts = running.node._worker.counts
    assert counts.refused > 0 and counts.failed == 0
    assert not running.node.failed
    until(lambda: diagnosis.value('frames_refused') == str(counts.refused), 'the refusals')
    assert diagnosis.value('state') == 'active'
    if transport == 'raw':
        labels = peer.collect(Image, f'{NAME}/label_image')
        peer.feed(
            camera, photo_message(7), lambda: any(m.header.stamp.nanosec == 7 for m in labels)
        )


def settled(running: RunningNode) -> bool:
    """Return whether received = processed + dropped + refused + failed."""
    counts = running.node._worker.counts
    return counts.received == counts.ended


def lost(running: RunningNode) -> int:
    """Return the frames that were refused or failed."""
    counts = running.node._worker.counts
    return counts.refused + counts.failed


@some.composite
def parameter(draw: some.DrawFn) -> Parameter:
    """Draw a parameter: of a known or any name, with a value of any type, often a fitting one."""
    name = draw(some.sampled_from(sorted(SETTINGS)) | some.text(max_size=30))
    known = SETTINGS.get(name)
    if known is not None and draw(some.booleans()):
        return Parameter(name=name, value=fitting(draw, known))
    field = draw(some.sampled_from(sorted(VALUES)))
    kind, values = VALUES[field]
    return Parameter(name=without(name), value=ParameterValue(type=kind, **{field: draw(values)}))


def fitting(draw: some.DrawFn, known: Setting) -> ParameterValue:
    """Draw a value of a setting's type, in or just out of its range."""
    if known.choices:
        text = draw(some.sampled_from([*known.choices, 'other']))
        return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
    if known.kind is bool:
        return ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=draw(some.booleans()))
    if known.kind is str:
        text = without(draw(some.text(max_size=30)))
        return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
    low, high = known.minimum or 0, min(known.maximum or LARGEST, LARGEST)
    if known.kind is int:
        number = draw(some.integers(int(low) - 1, int(high)))
        return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=number)
    return ParameterValue(
        type=ParameterType.PARAMETER_DOUBLE, double_value=draw(some.floats(low - 1, high))
    )


def without(text: str) -> str:
    """Return a text that can be sent."""
    return text.encode(errors='ignore').decode().replace('\0', '')


@pytest.mark.timeout(400)
def test_parameters_set_to_anything_leave_a_node_that_labels(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    peer.wait_active()
    camera, client = peer.camera(), peer.client(SetParameters, f'{NAME}/set_parameters')
    timer = peer.node.create_timer(0.05, lambda: camera.publish(photo_message(1)))
    before = configuration.flatten(running.node._settings.current)
    answers: list[bool] = []

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(some.lists(parameter(), min_size=1, max_size=3))
    def set_anything(parameters: list[Parameter]) -> None:
        answer = client.call(SetParameters.Request(parameters=parameters))
        assert len(answer.results) == len(parameters)
        answers.extend(result.successful for result in answer.results)
        assert all(result.successful or result.reason for result in answer.results)
        configuration.from_values(configuration.flatten(running.node._settings.current))

    set_anything()
    assert 0.02 < sum(answers) / len(answers) < 0.9, 'all are taken or all are refused'
    after = lost(running)
    for name, value in before.items():
        if SETTINGS[name].live:
            peer.set(name, value)
    labels = peer.collect(Image, f'{NAME}/label_image')
    peer.feed(camera, photo_message(9), lambda: any(m.header.stamp.nanosec == 9 for m in labels))
    timer.cancel()
    assert configuration.flatten(running.node._settings.current) == before
    assert after == 0, diagnosis.value('last_error')


def test_time_that_jumps_neither_stops_labels_nor_diagnostics(
    start: Any, peer: Peer, diagnosis: Diagnosis
) -> None:
    running = start(use_sim_time=True)
    clock = peer.node.create_publisher(Clock, '/clock', 5)
    camera, labels = peer.camera(), peer.collect(Image, f'{NAME}/label_image')
    for number, now_s in enumerate(JUMPS_S, start=1):
        clock.publish(Clock(clock=Time(sec=now_s)))
        message = photo_message(number)
        message.header.stamp.sec = now_s
        peer.feed(camera, message, lambda n=number: labels and stamped(labels[-1]) == n)
        told = diagnosis.value('frames_processed')
        until(lambda told=told: diagnosis.value('frames_processed') != told, 'diagnostics go on')
    assert lost(running) == 0


def stamped(message: Image) -> int:
    return int(message.header.stamp.nanosec)


@pytest.mark.parametrize('sec', [-(2**31), -1, 0, 2**31 - 1])
def test_images_from_any_time_are_labelled(running: RunningNode, peer: Peer, sec: int) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    message = photo_message(3)
    message.header.stamp.sec = sec
    before = lost(running)
    peer.feed(peer.camera(), message, lambda: any(m.header == message.header for m in labels))
    assert lost(running) == before
