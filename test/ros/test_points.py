"""The labelled cloud: depth and calibration in, points with labels out, over DDS."""

import struct
from collections.abc import Iterator
from typing import Any

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
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.outputs.point_cloud import POINT
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.ros.conversions import array_to_image, point_cloud
from semantic_fast_sam_ros.ros.outputs import Outputs

CAMERA, DEPTH, INFO = '/cam/image_raw', '/cam/depth/image_rect', '/cam/depth/camera_info'
ROWS, COLUMNS = HEIGHT // 2, WIDTH // 2  # of the depth image
FX, FY, CX, CY = 60.0, 64.0, 39.5, 29.5
CHARACTER = {PointField.FLOAT32: 'f', PointField.UINT32: 'I'}


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give the node with a cloud, shared by the module."""
    with active_node(
        *('-r', f'image:={CAMERA}', '-r', f'depth/image:={DEPTH}'), cloud__enabled=True
    ) as running:
        yield running


def depth_metres() -> np.ndarray:
    """Return a wall that comes nearer to the right; nothing in the first rows."""
    depth = np.tile(np.linspace(4, 2, COLUMNS, dtype=np.float32), (ROWS, 1))
    depth[:10] = 0
    return depth


def info() -> CameraInfo:
    """Return the calibration of the depth image."""
    message = CameraInfo(width=COLUMNS, height=ROWS)
    message.k = [FX, 0.0, CX, 0.0, FY, CY, 0.0, 0.0, 1.0]
    message.p = [FX, 0.0, CX, 0.0, 0.0, FY, CY, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


class Rig:
    """A depth camera and somebody who takes the cloud."""

    def __init__(self, peer: Peer, running: RunningNode) -> None:
        self.peer = peer
        self.clouds = peer.collect(PointCloud2, f'{NAME}/points')
        self.labels = peer.collect(Image, f'{NAME}/label_image')
        self.camera = peer.camera(CAMERA)
        self.depth = peer.camera(DEPTH, Image, BEST_EFFORT)
        self.info = peer.camera(INFO, CameraInfo, BEST_EFFORT)

    def send(self, sent: Image, depth: Image) -> Image:
        """Send depth and calibration beside an image until its labels are there."""

        def labelled() -> Any:
            self.depth.publish(depth)
            self.info.publish(info())
            return [m for m in self.labels if m.header == sent.header]

        return self.peer.feed(self.camera, sent, labelled)[0]

    def cloud(self, sent: Image, depth: Image, predicate: Any = lambda cloud: True) -> PointCloud2:
        """Send depth with an image until its cloud is there; return the cloud."""

        def found() -> Any:
            self.send(sent, depth)
            taken = [c for c in self.clouds if c.header == sent.header]
            return taken and predicate(taken[-1]) and taken[-1]

        return until(found, 'a cloud')


@pytest.fixture
def rig(peer: Peer, running: RunningNode) -> Rig:
    """Give camera, depth camera and observer."""
    return Rig(peer, running)


def beside(sent: Image, pixels: np.ndarray, encoding: str, apart_ns: int = 0) -> Image:
    """Return a depth image taken with an image."""
    header = Header(frame_id=sent.header.frame_id)
    header.stamp.sec, header.stamp.nanosec = sent.header.stamp.sec, sent.header.stamp.nanosec
    header.stamp.nanosec += apart_ns
    return array_to_image(pixels, encoding, header)


def read(cloud: PointCloud2) -> list[dict[str, float]]:
    """Read a cloud as its fields say, byte by byte."""
    points = []
    for row in range(cloud.height):
        for column in range(cloud.width):
            start = row * cloud.row_step + column * cloud.point_step
            points.append(
                {
                    field.name: struct.unpack_from(
                        f'<{CHARACTER[field.datatype]}', cloud.data, start + field.offset
                    )[0]
                    for field in cloud.fields
                }
            )
    return points


def xyz(point: dict[str, float]) -> list[float]:
    return [point[axis] for axis in 'xyz']


@pytest.mark.parametrize('encoding', ['32FC1', '16UC1'])
def test_organised_points_lie_on_their_rays_and_carry_their_labels(
    rig: Rig, encoding: str
) -> None:
    depth = depth_metres()
    pixels = (depth * 1000).astype(np.uint16) if encoding == '16UC1' else depth
    sent = photo_message(1)
    cloud = rig.cloud(sent, beside(sent, pixels, encoding))
    labels = next(m for m in rig.labels if m.header == sent.header)
    assert (cloud.height, cloud.width, cloud.is_dense) == (ROWS, COLUMNS, False)
    assert cloud.header == labels.header
    assert len(cloud.data) == cloud.row_step * ROWS == cloud.point_step * COLUMNS * ROWS
    points = np.array([xyz(point) for point in read(cloud)]).reshape(ROWS, COLUMNS, 3)
    assert np.isnan(points[:10]).all() and np.isfinite(points[10:]).all()
    v, u = 40, 60
    z = depth[v, u]
    expected = [(u - CX) / FX * z, (v - CY) / FY * z, z]
    np.testing.assert_allclose(points[v, u], expected, atol=2e-3)
    # The depth image is half as large: its pixel's centre is the corner of four of the labels'.
    image = np.frombuffer(labels.data, np.uint8).reshape(HEIGHT, WIDTH)
    of_cloud = np.array([p['label'] for p in read(cloud)]).reshape(ROWS, COLUMNS)
    assert set(np.unique(of_cloud)) <= set(np.unique(image))
    assert (of_cloud == image[1::2, 1::2]).mean() > 0.9
    confidence = np.array([p['confidence'] for p in read(cloud)]).reshape(ROWS, COLUMNS)
    assert ((confidence > 0) == (of_cloud > 0)).all() and confidence.max() <= 1


def test_unorganised_points_are_those_with_depth(rig: Rig, peer: Peer) -> None:
    sent = photo_message(10)
    assert peer.set('cloud.organised', False).successful
    try:
        depth = beside(sent, depth_metres(), '32FC1')
        cloud = rig.cloud(sent, depth, lambda c: c.is_dense)
    finally:
        assert peer.set('cloud.organised', True).successful
    assert (cloud.height, cloud.width) == (1, COLUMNS * (ROWS - 10))
    assert np.isfinite([xyz(point) for point in read(cloud)]).all()


def test_depth_and_calibration_are_heard_only_while_the_cloud_is_wanted(
    running: RunningNode, peer: Peer
) -> None:
    depth = peer.camera(DEPTH, Image, BEST_EFFORT)
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera(CAMERA)
    until(
        lambda: not running.node._cameras[0].outputs.wants('points'), 'earlier observers are gone'
    )
    numbers = iter(range(100, 1000))

    def alone() -> bool:
        peer.feed(camera, photo_message(next(numbers)), lambda: labels)
        return depth.get_subscription_count() == 0

    until(alone, 'the node does not take depth')
    peer.collect(PointCloud2, f'{NAME}/points')

    def heard() -> bool:
        peer.feed(camera, photo_message(next(numbers)), lambda: labels)
        return depth.get_subscription_count() == 1

    until(heard, 'the node takes depth')


@pytest.mark.parametrize(
    ('pixels', 'encoding', 'apart_ns', 'words'),
    [
        (depth_metres(), '32FC1', 400_000_000, '+400 ms from the image'),
        (np.zeros((ROWS, COLUMNS), np.uint8), 'mono8', 0, "cannot be 'mono8'"),
        (np.ones((ROWS, ROWS), np.float32), '32FC1', 0, 'the depth image is 60x60'),
    ],
    ids=['apart', 'encoding', 'size'],
)
def test_depth_that_does_not_fit_is_reported_and_labels_flow_on(
    rig: Rig, diagnosis: Diagnosis, pixels: np.ndarray, encoding: str, apart_ns: int, words: str
) -> None:
    sent = photo_message(50)
    depth = beside(sent, pixels, encoding, apart_ns)
    until(
        lambda: rig.send(sent, depth) and diagnosis.status and words in diagnosis.status.message,
        f'diagnostics with {words}',
    )
    assert not [c for c in rig.clouds if c.header == sent.header]


def test_depth_of_another_frame_is_reported_though_there_is_a_cloud(
    rig: Rig, diagnosis: Diagnosis
) -> None:
    sent = photo_message(60)
    depth = beside(sent, depth_metres(), '32FC1')
    depth.header.frame_id = 'depth_optical'
    rig.cloud(sent, depth)
    diagnosis.until_message("the depth image is in 'depth_optical'")


def a_cloud() -> PointCloud2:
    """Return 2 x 3 points, the first without depth."""
    points = np.zeros((2, 3), POINT)
    points['x'], points['label'] = np.arange(6).reshape(2, 3), 7
    points['z'][0, 0] = np.nan
    points['rgb'], points['confidence'] = 0x00_FF_80_01, 0.5
    return point_cloud(points, Header(frame_id='camera'))


def test_fields_are_those_that_rviz_pcl_and_hydra_look_for() -> None:
    """They take x, y, z and a packed rgb as float32; Hydra and PCL an integer label."""
    assert [(f.name, f.offset, f.datatype) for f in a_cloud().fields] == [
        *((axis, 4 * i, PointField.FLOAT32) for i, axis in enumerate('xyz')),
        ('rgb', 12, PointField.FLOAT32),
        ('label', 16, PointField.UINT32),
        ('confidence', 20, PointField.FLOAT32),
    ]
    assert (a_cloud().point_step, a_cloud().row_step) == (24, 72)


def test_a_cloud_is_read_alike_by_sensor_msgs_py() -> None:
    point_cloud2 = pytest.importorskip(
        'sensor_msgs_py.point_cloud2', reason='sensor_msgs_py is not installed'
    )
    found = point_cloud2.read_points(a_cloud(), skip_nans=True)
    assert found['x'].tolist() == [1, 2, 3, 4, 5]
    assert set(found['label'].tolist()) == {7}
    packed = found['rgb'].copy().view(np.uint8).reshape(-1, 4)
    assert packed[0].tolist() == [0x01, 0x80, 0xFF, 0]
    assert point_cloud2.read_points_numpy(a_cloud(), ['x', 'y', 'z']).shape == (6, 3)


def test_an_empty_cloud_is_a_message_without_points() -> None:
    cloud = point_cloud(np.zeros(0, POINT), Header())
    assert (cloud.height, cloud.width, len(cloud.data), cloud.is_dense) == (1, 0, 0, True)


@pytest.mark.parametrize('cloud', [False, True])
def test_the_topic_is_there_only_if_asked_for(peer: Peer, cloud: bool) -> None:
    node = LifecycleNode('opt_in', context=peer.context, enable_communication_interface=False)
    outputs = Outputs(node, OutputSettings(), cloud=cloud)
    topics = {publisher.topic_name for publisher in outputs.publishers}
    assert ('/opt_in/points' in topics) == cloud
    outputs.destroy()
    node.destroy_node()
