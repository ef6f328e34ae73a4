"""Boxes in space and their markers, as an independent observer hears them over DDS."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from boxes_rig import (
    CAMERA,
    CX,
    DEPTH,
    DISTANCE,
    FX,
    INFO,
    Rig,
    beside,
    info,
    wall,
)
from geometry_msgs.msg import Quaternion, Transform, Vector3
from harness import (
    HEIGHT,
    WIDTH,
    Diagnosis,
    Peer,
    RunningNode,
    active_node,
    all_things,
    photo_message,
    until,
)
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.objects.box_messages import marker_array
from semantic_fast_sam_ros.core.objects.boxes_3d import Box3D, Boxes3D
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.ros import transforms
from semantic_fast_sam_ros.ros.conversions import new
from semantic_fast_sam_ros.ros.objects import ObjectBoxes
from semantic_fast_sam_ros.ros.outputs import Outputs


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give the node with boxes, shared by the module; every class is one of things."""
    with active_node(
        *('-r', f'image:={CAMERA}', '-r', f'depth/image:={DEPTH}'),
        objects__boxes_3d=True,
        vocabulary=all_things(),
    ) as running:
        yield running


@pytest.fixture
def rig(peer: Peer, running: RunningNode) -> Rig:
    """Give camera, depth camera and observer."""
    return Rig(peer)


@pytest.mark.parametrize('encoding', ['32FC1', '16UC1'])
def test_boxes_are_where_the_masks_are_on_a_wall(rig: Rig, encoding: str) -> None:
    depth = wall() if encoding == '32FC1' else (1000 * wall()).astype(np.uint16)
    sent = photo_message(1 if encoding == '32FC1' else 2)
    flat, found, _ = rig.look(sent, beside(sent, depth, encoding))
    masks = {d.id: d for d in flat.detections}
    assert found.detections
    assert len({d.id for d in found.detections}) == len(found.detections)
    for detection in found.detections:
        mask = masks[detection.id]
        assert detection.header == found.header == sent.header
        assert [(r.hypothesis.class_id, r.hypothesis.score) for r in detection.results] == [
            (r.hypothesis.class_id, r.hypothesis.score) for r in mask.results
        ]
        centre, size = detection.bbox.center.position, detection.bbox.size
        assert centre.z == pytest.approx(DISTANCE, rel=0.02)
        assert size.z == pytest.approx(0, abs=0.01)
        # What is seen of the mask lies in the mask's box.
        left = (mask.bbox.center.position.x - mask.bbox.size_x / 2 - 2 - CX) / FX * DISTANCE
        right = (mask.bbox.center.position.x + mask.bbox.size_x / 2 + 1 - CX) / FX * DISTANCE
        assert left <= centre.x - size.x / 2 and centre.x + size.x / 2 <= right
        covariance = np.array(detection.results[0].pose.covariance).reshape(6, 6)
        assert (np.linalg.eigvalsh(covariance[:3, :3]) > -1e-12).all()
        assert (covariance[3:] == 0).all() and (covariance[:, 3:] == 0).all()
        assert detection.results[0].pose.pose == detection.bbox.center
        assert detection.bbox.center.orientation.w == 1


def test_each_box_has_a_cube_and_its_name_and_old_ones_go(rig: Rig) -> None:
    sent = photo_message(3)
    _, found, markers = rig.look(sent, beside(sent, wall()))
    first, *shown = markers.markers
    assert first.action == Marker.DELETEALL
    cubes = [m for m in shown if m.type == Marker.CUBE]
    names = [m for m in shown if m.type == Marker.TEXT_VIEW_FACING]
    assert len(cubes) == len(names) == len(found.detections)
    assert len({(m.ns, m.id) for m in shown}) == len(shown)
    for cube, name, detection in zip(cubes, names, found.detections, strict=True):
        assert cube.header == sent.header
        assert cube.pose == name.pose == detection.bbox.center
        assert cube.scale.x == detection.bbox.size.x
        assert min(cube.scale.x, cube.scale.y, cube.scale.z) > 0
        assert name.text == f'{detection.results[0].hypothesis.class_id} {detection.id}'
        assert cube.color.a > 0 and name.color.a > 0 and cube.lifetime.sec > 0


def test_things_without_depth_are_counted(rig: Rig, diagnosis: Diagnosis) -> None:
    sent = photo_message(4)
    _, found, _ = rig.look(sent, beside(sent, wall(np.nan)))
    assert not found.detections
    until(lambda: int(diagnosis.value('objects_without_depth') or 0) > 0, 'the count')


@pytest.mark.parametrize(
    ('pixels', 'encoding', 'apart_ns', 'told', 'words'),
    [
        (wall(), '32FC1', 400_000_000, None, '+400 ms from the image'),
        (np.zeros((HEIGHT, WIDTH), np.uint8), 'mono8', 0, None, "cannot be 'mono8'"),
        (wall(width=HEIGHT), '32FC1', 0, info(HEIGHT), 'is not registered to the camera'),
        (wall(), '32FC1', 0, info(WIDTH // 2), 'describes images of 80x120'),
    ],
    ids=['late', 'encoding', 'view', 'calibration'],
)
def test_depth_that_does_not_fit_is_told_and_detections_flow_on(
    rig: Rig,
    diagnosis: Diagnosis,
    pixels: np.ndarray,
    encoding: str,
    apart_ns: int,
    told: CameraInfo | None,
    words: str,
) -> None:
    sent = photo_message(50)
    depth = beside(sent, pixels, encoding, apart_ns)
    until(
        lambda: (
            rig.send(sent, depth, told) and diagnosis.status and words in diagnosis.status.message
        ),
        f'diagnostics with {words}',
    )
    assert not [m for m in rig.boxes if m.header == sent.header]


def test_depth_without_calibration_is_told(
    peer: Peer, running: RunningNode, diagnosis: Diagnosis
) -> None:
    camera = peer.camera(CAMERA)

    def listening() -> int:
        camera.publish(photo_message(60))  # with each image the node looks who takes boxes
        return int(running.node.count_subscribers(INFO))

    until(lambda: not listening(), 'the node forgets the calibration that nobody needs')
    rig, sent = Rig(peer, calibrated=False), photo_message(61)
    depth, words = beside(sent, wall()), f'no camera_info on {INFO}'
    until(
        lambda: rig.send(sent, depth) and diagnosis.status and words in diagnosis.status.message,
        f'diagnostics with {words}',
    )
    assert not rig.boxes


def test_markers_of_no_objects_take_the_old_ones_away() -> None:
    (only,) = marker_array(new, Boxes3D((), 3), Header(frame_id='camera')).markers
    assert (only.action, only.header.frame_id) == (Marker.DELETEALL, 'camera')


def test_a_flat_box_is_drawn_all_the_same() -> None:
    box = Box3D('7', (0.0, 0.0, 2.0), (1.0, 2.0, 0.0), np.zeros((3, 3)), (), (255, 0, 51))
    _, cube, name = marker_array(new, Boxes3D((box,), 0), Header()).markers
    assert cube.scale.z > 0 and name.text == '7'
    assert (cube.color.r, cube.color.b) == (1.0, pytest.approx(0.2))


@pytest.mark.parametrize('boxes', [False, True])
def test_the_topics_are_there_only_if_asked_for(peer: Peer, boxes: bool) -> None:
    node = LifecycleNode('no_boxes', context=peer.context, enable_communication_interface=False)
    further = ObjectBoxes.topics if boxes else {}
    outputs = Outputs(node, OutputSettings(), further=further)
    topics = {publisher.topic_name for publisher in outputs.publishers}
    assert ('/no_boxes/detections_3d' in topics) == boxes
    assert ('/no_boxes/objects/markers' in topics) == boxes
    outputs.destroy()
    node.destroy_node()


def test_a_transform_is_its_turn_then_its_shift() -> None:
    half = np.sqrt(0.5)  # a quarter turn about z
    transform = Transform(
        translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=Quaternion(z=half, w=half)
    )
    moved = transforms.matrix_of(transform) @ [1, 0, 0, 1]
    np.testing.assert_allclose(moved, [1, 3, 3, 1], atol=1e-9)


def test_another_frame_without_tf2_ros_is_refused_with_what_is_missing(peer: Peer) -> None:
    if transforms.importlib.util.find_spec('tf2_ros') is not None:
        pytest.skip('tf2_ros is installed')
    with pytest.raises(ConfigError, match="'map' needs tf2_ros"):
        transforms.FrameLookup(peer.node, 'map')
