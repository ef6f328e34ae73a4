"""Cameras and subscribers that change, die, come back and hurry, while the node runs."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from harness import (
    BEST_EFFORT,
    LATCHED,
    NAME,
    RELIABLE,
    Diagnosis,
    Peer,
    RunningNode,
    active_node,
    header,
    street,
    until,
)
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from semantic_fast_sam_ros.ros.conversions import array_to_image

OUTPUTS = {
    'label_image': Image,
    'label_image/compressed': CompressedImage,
    'label_colour': Image,
    'confidence': Image,
    'instances': Image,
    'overlay': Image,
    'overlay/compressed': CompressedImage,
    'detections': Detection2DArray,
    'camera_info': CameraInfo,
}
# encoding -> how many values a pixel has
ENCODINGS = {'rgb8': 3, 'bgr8': 3, 'mono8': 0, 'rgba8': 4, 'bayer_rggb8': 0, 'yuv422_yuy2': 2}


@pytest.fixture(scope='module', name='running')
def _running(tiny_models: dict[str, object]) -> Iterator[RunningNode]:
    settings = {name.replace('.', '__'): value for name, value in tiny_models.items()}
    with active_node(**settings, input__timeout_s=1.0) as running:
        yield running


def picture(number: int, height: int, width: int, encoding: str = 'rgb8') -> Image:
    """Return an image of a size and encoding, with the header of its number."""
    rgb = street(height, width)
    channels = ENCODINGS[encoding]
    if channels == 0:
        pixels = rgb[..., 0]
    elif channels == 4:
        pixels = np.dstack([rgb, rgb[..., 0]])
    else:
        pixels = np.ascontiguousarray(rgb[..., :channels])
    return array_to_image(pixels, encoding, header(number))


@contextmanager
def stream(camera: Publisher, height: int, width: int, rate_hz: float) -> Iterator[None]:
    """Publish in the background, as a camera does."""
    ended, numbers = threading.Event(), itertools.count(1)

    def publish() -> None:
        while not ended.wait(1 / rate_hz):
            camera.publish(picture(next(numbers), height, width))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def stamps(inbox: list) -> list[tuple[int, int]]:
    """Return the stamps of what came, in order of arrival."""
    return [(m.header.stamp.sec, m.header.stamp.nanosec) for m in inbox]


def accounted(running: RunningNode) -> bool:
    """Whether every frame received has found its end."""
    counts = running.counts
    return counts.received == counts.ended


def lost(running: RunningNode) -> int:
    """Return the frames that were refused or failed."""
    return running.counts.refused + running.counts.failed


def test_size_encoding_and_frame_change_from_one_image_to_the_next(
    running: RunningNode, peer: Peer
) -> None:
    labels, camera = peer.collect(Image, f'{NAME}/label_image'), peer.camera()
    sizes = itertools.cycle([(60, 80), (90, 50), (33, 48), (120, 160)])
    before = lost(running)
    for number, (encoding, (height, width)) in enumerate(zip(ENCODINGS, sizes, strict=False), 1):
        sent = picture(number, height, width, encoding)
        sent.header.frame_id = f'frame_{encoding}'
        peer.feed(camera, sent, lambda sent=sent: [m for m in labels if m.header == sent.header])
        answer = next(m for m in labels if m.header == sent.header)
        assert (answer.height, answer.width) == (height, width), encoding
        assert len(answer.data) == height * width
    until(lambda: accounted(running), 'every frame has its end')
    assert lost(running) == before


def test_a_rate_that_changes_is_followed_and_time_never_runs_back(
    running: RunningNode, peer: Peer
) -> None:
    labels, camera = peer.collect(Image, f'{NAME}/label_image'), peer.camera()
    for rate_hz in (5.0, 120.0, 2.0, 30.0):
        before = len(labels)
        with stream(camera, 60, 80, rate_hz):
            until(lambda before=before: len(labels) >= before + 4, f'labels at {rate_hz} Hz')
    # Numbers start at 1 with each rate, seconds do not.
    seconds = [second for second, _ in stamps(labels)]
    assert seconds == sorted(seconds)
    until(lambda: accounted(running), 'every frame has its end')


@pytest.mark.usefixtures('running')
def test_two_cameras_on_one_topic_are_answered_each_for_itself(peer: Peer) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    sizes = {'left': (60, 80), 'right': (40, 100)}
    other = Peer('other_camera')
    cameras = {'left': peer.camera(), 'right': other.camera(profile=BEST_EFFORT)}
    for number in itertools.count(1):
        for name, camera in cameras.items():
            sent = picture(number, *sizes[name])
            sent.header.frame_id = name
            camera.publish(sent)
            time.sleep(0.02)
        if {m.header.frame_id for m in labels} >= set(sizes) and len(labels) > 6:
            break
        assert number < 1000, 'one of the cameras is not heard'
    other.close()
    for message in labels:
        assert (message.height, message.width) == sizes[message.header.frame_id]


@pytest.mark.usefixtures('running')
@pytest.mark.parametrize(
    'offered', [BEST_EFFORT, RELIABLE, LATCHED], ids=['best effort', 'reliable', 'latched']
)
@pytest.mark.parametrize('asked', [BEST_EFFORT, RELIABLE], ids=['best effort', 'reliable'])
def test_peers_of_every_kind_are_served(
    peer: Peer, offered: QoSProfile, asked: QoSProfile
) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image', asked)
    sent = picture(1, 60, 80)
    peer.feed(peer.camera(profile=offered), sent, lambda: labels)
    assert labels[0].header == sent.header


def test_a_camera_that_dies_is_told_and_served_again_when_it_comes_back(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    for life in range(3):
        labels.clear()
        size = (60 + 10 * life, 80)
        with closing(Peer(f'camera_{life}')) as camera:
            publisher = camera.camera(profile=BEST_EFFORT)
            camera.feed(publisher, picture(life, *size), lambda: labels)
            assert (labels[-1].height, labels[-1].width) == size
            until(
                lambda: diagnosis.status and diagnosis.status.level == DiagnosticStatus.OK,
                'nothing is wrong while it lives',
            )
        diagnosis.until_message('no image on /image for', '(0 publishers there)')
    assert accounted(running)


def test_subscribers_that_come_and_go_ten_times_a_second_cost_nobody_anything(
    running: RunningNode, peer: Peer
) -> None:
    camera, visitor = peer.camera(), Peer('visitor')
    steady = peer.collect(Image, f'{NAME}/label_image')
    before, threads = lost(running), threading.active_count()
    with stream(camera, 60, 80, 30.0):
        until(lambda: steady, 'the first labels')
        for (topic, kind), _ in zip(itertools.cycle(OUTPUTS.items()), range(60), strict=False):
            passing = visitor.node.create_subscription(
                kind, f'{NAME}/{topic}', lambda message: None, BEST_EFFORT
            )
            time.sleep(0.05)
            visitor.node.destroy_subscription(passing)
            time.sleep(0.05)
        late = {topic: visitor.collect(k, f'{NAME}/{topic}') for topic, k in OUTPUTS.items()}
        del late['camera_info']  # nobody publishes one to be scaled
        until(lambda: all(late.values()), 'every output for one who comes after all of them')
        assert threading.active_count() <= threads + 1  # of the stream
        count = len(steady)
        until(lambda: len(steady) > count, 'labels for the one who stayed')
    visitor.close()
    until(lambda: accounted(running), 'every frame has its end')
    assert lost(running) == before


def test_mismatches_on_both_sides_are_told_at_once(start, peer: Peer) -> None:
    start(
        input__reliability='reliable', output__reliability='best_effort', input__timeout_s=3600.0
    )
    diagnosis = Diagnosis(peer)
    with closing(Peer('shy_camera')) as shy, closing(Peer('strict_viewer')) as strict:
        shy.camera(profile=BEST_EFFORT)
        strict.collect(Image, f'{NAME}/label_image', RELIABLE)
        diagnosis.until_message(
            *('/shy_camera', 'set input.reliability to best_effort'),
            *('/strict_viewer', 'set output.reliability to reliable'),
        )
