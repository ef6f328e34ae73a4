"""Boxes and cloud from a PointCloud2 in place of a depth image, heard over DDS."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from boxes_rig import CAMERA, CX, CY, DISTANCE, FX, FY, Rig
from harness import (
    HEIGHT,
    NAME,
    WIDTH,
    Diagnosis,
    Peer,
    RunningNode,
    all_things,
    photo_message,
    until,
)
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header

CLOUD = '/cam/depth/points'


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give the node that takes depth from clouds, shared by the module."""
    running = RunningNode(
        *('-r', f'image:={CAMERA}', '-r', f'depth/points:={CLOUD}'),
        objects__boxes_3d=True,
        cloud__enabled=True,
        cloud__source='points',
        vocabulary=all_things(),
    )
    yield running
    running.close()


@pytest.fixture
def rig(peer: Peer, running: RunningNode) -> Rig:
    """Give camera, depth camera and observer."""
    return Rig(peer, CLOUD, PointCloud2)


def points(sent: Image, height: int = HEIGHT, width: int = WIDTH) -> PointCloud2:
    """Return a wall as a driver's organised cloud: x, y, z and a colour, 16 bytes a point."""
    v, u = np.indices((height, width))
    cloud = np.zeros((height, width, 4), np.float32)
    cloud[..., 0] = (u - CX * width / WIDTH) / (FX * width / WIDTH) * DISTANCE
    cloud[..., 1] = (v - CY * height / HEIGHT) / (FY * height / HEIGHT) * DISTANCE
    cloud[..., 2] = DISTANCE
    cloud[:5] = np.nan
    message = PointCloud2(header=Header(frame_id=sent.header.frame_id))
    message.header.stamp.sec = sent.header.stamp.sec
    message.header.stamp.nanosec = sent.header.stamp.nanosec
    message.height, message.width, message.is_dense = height, width, False
    message.point_step, message.row_step = 16, 16 * width
    message.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(('x', 'y', 'z', 'rgb'))
    ]
    message.data = cloud.tobytes()
    return message


def test_boxes_and_cloud_are_where_the_points_are(peer: Peer, rig: Rig) -> None:
    clouds = peer.collect(PointCloud2, f'{NAME}/points')
    sent = photo_message(21)
    flat, found, _ = rig.look(sent, points(sent))
    masks = {d.id: d for d in flat.detections}
    assert found.detections and found.header == sent.header
    for detection in found.detections:
        box, mask = detection.bbox, masks[detection.id].bbox
        assert box.center.position.z == pytest.approx(DISTANCE, rel=0.02)
        left = (mask.center.position.x - mask.size_x / 2 - 2 - CX) / FX * DISTANCE
        right = (mask.center.position.x + mask.size_x / 2 + 1 - CX) / FX * DISTANCE
        assert left <= box.center.position.x - box.size.x / 2
        assert box.center.position.x + box.size.x / 2 <= right
    until(lambda: [c for c in clouds if c.header == sent.header], 'a labelled cloud')
    labelled = next(c for c in clouds if c.header == sent.header)
    z = np.ndarray(
        (HEIGHT, WIDTH), '<f4', labelled.data, 8, (labelled.row_step, labelled.point_step)
    )
    assert np.isnan(z[:5]).all()
    assert z[5:] == pytest.approx(DISTANCE)


def test_a_cloud_of_another_size_does(rig: Rig) -> None:
    sent = photo_message(22)
    _, found, _ = rig.look(sent, points(sent, HEIGHT // 2, WIDTH // 2))
    assert found.detections
    for detection in found.detections:
        assert detection.bbox.center.position.z == pytest.approx(DISTANCE, rel=0.02)


def unorganised(cloud: PointCloud2) -> None:
    cloud.height, cloud.width = 1, cloud.height * cloud.width
    cloud.row_step = cloud.point_step * cloud.width


def of_the_body(cloud: PointCloud2) -> None:  # x forward, y left, z up
    for field, offset in zip(cloud.fields, (8, 0, 4), strict=False):
        field.offset = offset


def without_places(cloud: PointCloud2) -> None:
    cloud.fields = cloud.fields[3:]


def cut_off(cloud: PointCloud2) -> None:
    cloud.data = cloud.data[:1000]


def late(cloud: PointCloud2) -> None:
    cloud.header.stamp.nanosec += 400_000_000


def of_another_view(cloud: PointCloud2) -> None:
    side = HEIGHT
    cloud.data = b''.join(
        bytes(cloud.data[row * cloud.row_step :][: side * 16]) for row in range(side)
    )
    cloud.width, cloud.row_step = side, 16 * side


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (unorganised, f'not organised like an image: {HEIGHT * WIDTH}x1 points'),
        (of_the_body, "in the camera's optical frame"),
        (without_places, 'the cloud has no x as a float (it has rgb)'),
        (cut_off, 'the cloud contradicts itself'),
        (late, 'the nearest cloud is +400 ms from the image'),
        (of_another_view, 'is not registered to the camera'),
    ],
)
def test_clouds_that_do_not_fit_are_told_and_detections_flow_on(
    rig: Rig, diagnosis: Diagnosis, spoil, words: str
) -> None:
    sent = photo_message(30)
    cloud = points(sent)
    spoil(cloud)
    until(
        lambda: rig.send(sent, cloud) and diagnosis.status and words in diagnosis.status.message,
        f'diagnostics with {words}',
    )
    assert not [m for m in rig.boxes if m.header == sent.header]
