"""Output sizes that a CameraInfo gives, and the scaled CameraInfo beside the label image."""

import array
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from harness import (
    BEST_EFFORT,
    HEIGHT,
    NAME,
    WIDTH,
    Diagnosis,
    Peer,
    RunningNode,
    active_node,
    photo_message,
    until,
)
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image

from semantic_fast_sam_ros.ros.calibrations import info_topic

INFO, DEPTH_INFO = '/cam/camera_info', '/cam/depth/camera_info'
REMAPPED = ('-r', 'image:=/cam/image_raw', '-r', 'depth/image:=/cam/depth/image_rect')


def camera_info(width: int = WIDTH, height: int = HEIGHT, **fields: object) -> CameraInfo:
    """Return a calibration whose principal point is the middle of the image."""
    message = CameraInfo(width=width, height=height, distortion_model='plumb_bob', **fields)
    message.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    message.k = [100.0, 0.0, width / 2, 0.0, 110.0, height / 2, 0.0, 0.0, 1.0]
    message.p = [90.0, 0.0, width / 2, 0.0, 0.0, 95.0, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.header.frame_id = 'not the frame of the image'
    return message


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give the node, its input remapped as for a driver, shared by the module."""
    with active_node(*REMAPPED) as running:
        yield running


def frame(peer: Peer, number: int, infos: dict[Publisher, CameraInfo], *boxes: list) -> list:
    """Send an image with what goes beside it until each box has its answer; return the answers."""
    camera, sent = peer.camera('/cam/image_raw'), photo_message(number)

    def answers() -> list:
        for publisher, message in infos.items():
            publisher.publish(message)
        found = [[m for m in box if m.header == sent.header] for box in boxes]
        return all(found) and [each[0] for each in found]

    answer = peer.feed(camera, sent, answers)
    peer.node.destroy_publisher(camera)
    return answer


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        ((), '/camera_info'),
        (('-r', 'image:=/cam/image_raw'), '/cam/camera_info'),
        (('-r', 'image:=/cam/image_raw', '-r', 'camera_info:=/elsewhere'), '/elsewhere'),
        (('-r', 'image:=/cam/image_raw', '-r', '/cam/camera_info:=/elsewhere'), '/elsewhere'),
        (('-r', '__ns:=/robot'), '/robot/camera_info'),
    ],
)
def test_camera_info_is_looked_for_beside_the_image(peer, arguments, expected) -> None:
    node = Node('any', context=peer.context, cli_args=['--ros-args', *arguments])
    assert info_topic(node, 'image') == expected
    node.destroy_node()


def test_a_named_cameras_infos_are_in_its_namespace(peer: Peer) -> None:
    node = Node('any', context=peer.context)
    assert info_topic(node, 'front/image') == '/front/camera_info'
    assert info_topic(node, 'front/depth/image') == '/front/depth/camera_info'
    node.destroy_node()


@pytest.mark.usefixtures('running')
def test_calibration_is_scaled_with_the_labels_and_has_their_header(peer: Peer) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    scaled = peer.collect(CameraInfo, f'{NAME}/camera_info')
    info = peer.camera(INFO, CameraInfo)
    image, told = frame(peer, 1, {info: camera_info()}, labels, scaled)
    assert (told.width, told.height) == (image.width, image.height) == (WIDTH, HEIGHT)
    assert told.header == image.header
    assert told.k.tolist() == camera_info().k.tolist()

    assert peer.set('output.size', f'{WIDTH // 2}x{3 * HEIGHT}').successful
    image, told = frame(peer, 2, {info: camera_info()}, labels, scaled)
    assert peer.set('output.size', 'input').successful
    assert (told.width, told.height) == (image.width, image.height) == (WIDTH // 2, 3 * HEIGHT)
    assert told.k[:6].tolist() == [50.0, 0.0, WIDTH / 4, 0.0, 330.0, 3 * HEIGHT / 2]
    assert told.p[[0, 2, 5, 6]].tolist() == [45.0, WIDTH / 4, 285.0, 3 * HEIGHT / 2]
    assert told.d == array.array('d', camera_info().d)
    assert told.distortion_model == 'plumb_bob'


def test_camera_info_is_heard_only_while_somebody_wants_it(
    running: RunningNode, peer: Peer
) -> None:
    info = peer.camera(INFO, CameraInfo, BEST_EFFORT)
    labels = peer.collect(Image, f'{NAME}/label_image')
    frame(peer, 10, {}, labels)
    until(lambda: info.get_subscription_count() == 0, 'nobody takes camera_info')
    scaled = peer.collect(CameraInfo, f'{NAME}/camera_info')
    frame(peer, 11, {info: camera_info()}, labels, scaled)
    assert info.get_subscription_count() == 1


@pytest.mark.usefixtures('running')
def test_labels_take_the_size_of_the_depth_cameras_info(peer: Peer, diagnosis: Diagnosis) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    confidences = peer.collect(Image, f'{NAME}/confidence')
    assert peer.set('output.size', 'camera_info').successful
    camera, depth = peer.camera('/cam/image_raw'), peer.camera(DEPTH_INFO, CameraInfo)

    def refused() -> bool:
        return f'nothing came on {DEPTH_INFO}' in diagnosis.value('last_error')

    peer.feed(camera, photo_message(20), refused)
    assert not [m for m in labels if m.header.stamp.nanosec == 20]
    info = camera_info(320, 180, binning_x=2, binning_y=3)
    image, confidence = frame(peer, 21, {depth: info}, labels, confidences)
    assert (image.width, image.height) == (confidence.width, confidence.height) == (160, 60)
    known = np.frombuffer(image.data, np.uint8) > 0
    np.testing.assert_array_equal(np.frombuffer(confidence.data, np.uint8) > 0, known)
    image, _ = frame(peer, 22, {depth: camera_info(80, 40)}, labels, confidences)
    assert (image.width, image.height) == (80, 40), 'a size that changes is followed'
    absurd = camera_info(2**32 - 1, 2**32 - 1)

    def named() -> bool:
        depth.publish(absurd)
        return '4294967295x4294967295' in diagnosis.value('last_error')

    peer.feed(camera, photo_message(23), named)
    assert peer.set('output.size', 'input').successful


@pytest.mark.usefixtures('running')
def test_an_info_of_another_image_size_is_reported_and_not_relayed(
    peer: Peer, diagnosis: Diagnosis
) -> None:
    labels = peer.collect(Image, f'{NAME}/label_image')
    scaled = peer.collect(CameraInfo, f'{NAME}/camera_info')
    info = peer.camera(INFO, CameraInfo)
    camera = peer.camera('/cam/image_raw')

    def reported() -> bool:
        info.publish(camera_info(2 * WIDTH, 2 * HEIGHT))
        told = diagnosis.status.message if diagnosis.status else ''
        return f'{INFO} describes images of {2 * WIDTH}x{2 * HEIGHT}' in told

    peer.feed(camera, photo_message(30), lambda: reported() and labels)
    scaled.clear()
    frame(peer, 31, {}, labels)
    assert not scaled
    _, told = frame(peer, 32, {info: camera_info()}, labels, scaled)
    assert told.width == WIDTH
