"""Boxes in another frame, by the real tf2_ros: where that is installed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')
pytest.importorskip('tf2_ros', reason='tf2_ros is in no registry: it comes with ROS')

import tf2_ros
from boxes_rig import CAMERA, DEPTH, DISTANCE, Rig, beside, wall
from geometry_msgs.msg import TransformStamped
from harness import Diagnosis, Peer, RunningNode, all_things, photo_message, until
from sensor_msgs.msg import Image

HALF = 0.5  # of each part: x of the camera's optical frame is -y of map, y is -z, z is x


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give the node with boxes in `map`, shared by the module."""
    running = RunningNode(
        *('-r', f'image:={CAMERA}', '-r', f'depth/image:={DEPTH}'),
        objects__boxes_3d=True,
        objects__frame='map',
        vocabulary=all_things(),
    )
    yield running
    running.close()


@pytest.fixture
def rig(peer: Peer, running: RunningNode) -> Rig:
    """Give camera, depth camera and observer."""
    return Rig(peer)


def pose(sent: Image, x: float, seconds: float = 0.0, turned: bool = True) -> TransformStamped:
    """Return where the camera is, x ahead and 1 m above map, some time after an image."""
    told = TransformStamped()
    told.header.frame_id, told.child_frame_id = 'map', sent.header.frame_id
    stamp = sent.header.stamp.sec * 10**9 + sent.header.stamp.nanosec + round(seconds * 1e9)
    told.header.stamp.sec, told.header.stamp.nanosec = divmod(stamp, 10**9)
    told.transform.translation.x, told.transform.translation.z = x, 1.0
    turn = told.transform.rotation
    turn.x, turn.y, turn.z, turn.w = (-HALF, HALF, -HALF, HALF) if turned else (0.0, 0.0, 0.0, 1.0)
    return told


def assert_in_map(found: Any, markers: Any, flat: Any, x: float) -> None:
    """Check that boxes stand on a wall across x of map, left and right as in the image."""
    assert found.detections
    assert found.header.frame_id == markers.markers[0].header.frame_id == 'map'
    places = {d.id: d.bbox.center.position for d in found.detections}
    across = {d.id: d.bbox.center.position for d in flat.detections if d.id in places}
    for place in places.values():
        assert place.x == pytest.approx(x, abs=0.02 * DISTANCE)
    left, right = min(across, key=lambda i: across[i].x), max(across, key=lambda i: across[i].x)
    top, bottom = min(across, key=lambda i: across[i].y), max(across, key=lambda i: across[i].y)
    assert places[left].y > places[right].y
    assert places[top].z > places[bottom].z
    for detection in found.detections:
        assert detection.bbox.size.x == pytest.approx(0, abs=0.02), 'the wall has no depth'
        covariance = np.array(detection.results[0].pose.covariance).reshape(6, 6)
        assert covariance[0, 0] < 1e-3 < covariance[1, 1]


def test_a_static_transform_puts_boxes_into_its_frame(peer: Peer, rig: Rig) -> None:
    sent = photo_message(11)
    broadcaster = tf2_ros.StaticTransformBroadcaster(peer.node)
    broadcaster.sendTransform(pose(sent, 2.0))
    flat, found, markers = rig.look(sent, beside(sent, wall()))
    assert flat.header.frame_id == sent.header.frame_id
    assert_in_map(found, markers, flat, 2.0 + DISTANCE)


def test_a_moving_camera_is_where_it_was_at_the_stamp(peer: Peer, rig: Rig) -> None:
    sent = photo_message(12)
    broadcaster = tf2_ros.TransformBroadcaster(peer.node)

    def drive() -> None:  # 10 m/s: at the stamp a quarter of the way between these two
        broadcaster.sendTransform([pose(sent, 10.0, -0.1), pose(sent, 14.0, 0.3)])

    timer = peer.node.create_timer(0.1, drive)
    flat, found, markers = rig.look(sent, beside(sent, wall()))
    peer.node.destroy_timer(timer)
    assert_in_map(found, markers, flat, 11.0 + DISTANCE)


def test_without_a_transform_images_are_counted_and_detections_flow_on(
    peer: Peer, rig: Rig, diagnosis: Diagnosis
) -> None:
    sent = photo_message(13)
    depth = beside(sent, wall())
    words = f"no transform from '{sent.header.frame_id}' to 'map'"

    def told() -> bool:
        return bool(
            rig.send(sent, depth) and diagnosis.status and words in diagnosis.status.message
        )

    until(told, f'diagnostics with {words}')
    assert 'images without boxes' in diagnosis.status.message
    assert int(diagnosis.value('images_without_transform')) > 0
    assert not [m for m in rig.boxes if m.header.stamp == sent.header.stamp]


def test_a_transform_that_is_too_old_is_told_as_such(
    peer: Peer, rig: Rig, diagnosis: Diagnosis
) -> None:
    sent = photo_message(14)
    broadcaster = tf2_ros.TransformBroadcaster(peer.node)
    timer = peer.node.create_timer(0.1, lambda: broadcaster.sendTransform(pose(sent, 1.0, -2.0)))
    depth = beside(sent, wall())

    def told() -> bool:
        message = diagnosis.status.message if diagnosis.status else ''
        return bool(rig.send(sent, depth)) and f'{sent.header.frame_id}' in message

    until(told, 'diagnostics')
    peer.node.destroy_timer(timer)
    assert not [m for m in rig.boxes if m.header.stamp == sent.header.stamp]


def test_transforms_are_heard_only_while_boxes_are_wanted(
    peer: Peer, running: RunningNode
) -> None:
    camera = peer.camera(CAMERA)

    def listeners(topic: str) -> int:
        camera.publish(photo_message(15))  # with each image the node looks who listens
        return int(running.node.count_subscribers(topic))

    until(lambda: listeners('/tf') == listeners('/tf_static') == 0, 'nobody listens to /tf')
    rig = Rig(peer)
    until(lambda: listeners('/tf') == listeners('/tf_static') == 1, 'the node listens to /tf')
    assert 'tf2_frames' not in str(running.node.get_service_names_and_types())
    assert rig.boxes == []
