"""Boxes in space as messages of whatever library: rclpy's for topics, rosbags' for recordings."""

from typing import Any, Protocol

import numpy as np

from semantic_fast_sam_ros.core.objects.boxes_3d import Box3D, Boxes3D

LIFETIME_S = 2  # of markers that no message takes away, as the node ended
LETTERS_M = 0.15  # height of the names
SMALLEST_M = 0.01  # side of a box that is drawn: a wall seen from the front has no depth
CUBE, TEXT_VIEW_FACING, ADD, DELETEALL = 1, 9, 0, 3  # of visualization_msgs/Marker


class NewMessage(Protocol):
    """Makes a message of a type such as `geometry_msgs/msg/Point`; fields not given are blank."""

    def __call__(self, kind: str, /, **fields: object) -> Any:
        """Return it."""
        ...


def detections_3d(new: NewMessage, found: Boxes3D, header: Any) -> Any:
    """Return a vision_msgs/Detection3DArray, one detection a box: ids and classes as in 2D."""
    detections = [_detection(new, box, header) for box in found.boxes]
    return new('vision_msgs/msg/Detection3DArray', header=header, detections=detections)


def marker_array(new: NewMessage, found: Boxes3D, header: Any) -> Any:
    """Return a visualization_msgs/MarkerArray: a box and a name for each object, nothing else.

    Its first marker takes all those of the message before away.
    """
    markers = [new('visualization_msgs/msg/Marker', header=header, action=DELETEALL)]
    for number, box in enumerate(found.boxes):
        markers += [_cube(new, box, number, header), _name(new, box, number, header)]
    return new('visualization_msgs/msg/MarkerArray', markers=markers)


def _detection(new: NewMessage, box: Box3D, header: Any) -> Any:
    covariance = np.zeros((6, 6))  # x, y, z and three turns, of which nothing is known
    covariance[:3, :3] = box.covariance
    results = [
        new(
            'vision_msgs/msg/ObjectHypothesisWithPose',
            hypothesis=new('vision_msgs/msg/ObjectHypothesis', class_id=name, score=score),
            pose=new(
                'geometry_msgs/msg/PoseWithCovariance',
                pose=_pose(new, box.centre),
                covariance=covariance.ravel(),
            ),
        )
        for name, score in box.hypotheses
    ]
    space = new(
        'vision_msgs/msg/BoundingBox3D',
        center=_pose(new, box.centre),
        size=_vector(new, *box.size),
    )
    return new(
        'vision_msgs/msg/Detection3D', header=header, results=results, bbox=space, id=box.id
    )


def _cube(new: NewMessage, box: Box3D, number: int, header: Any) -> Any:
    scale = _vector(new, *(max(SMALLEST_M, side) for side in box.size))
    red, green, blue = (value / 255 for value in box.colour)
    colour = new('std_msgs/msg/ColorRGBA', r=red, g=green, b=blue, a=0.4)
    return _marker(new, 'objects', CUBE, box, number, header, scale=scale, color=colour)


def _name(new: NewMessage, box: Box3D, number: int, header: Any) -> Any:
    text = ' '.join([*(name for name, _ in box.hypotheses[:1]), box.id])
    scale = _vector(new, 0.0, 0.0, LETTERS_M)
    white = new('std_msgs/msg/ColorRGBA', r=1.0, g=1.0, b=1.0, a=1.0)
    return _marker(
        new, 'names', TEXT_VIEW_FACING, box, number, header, scale=scale, color=white, text=text
    )


def _marker(
    new: NewMessage, kind: str, shape: int, box: Box3D, number: int, header: Any, **look: Any
) -> Any:
    return new(
        'visualization_msgs/msg/Marker',
        header=header,
        ns=kind,
        id=number,
        type=shape,
        action=ADD,
        pose=_pose(new, box.centre),
        lifetime=new('builtin_interfaces/msg/Duration', sec=LIFETIME_S),
        **look,
    )


def _pose(new: NewMessage, centre: tuple[float, float, float]) -> Any:
    x, y, z = centre
    return new('geometry_msgs/msg/Pose', position=new('geometry_msgs/msg/Point', x=x, y=y, z=z))


def _vector(new: NewMessage, x: float, y: float, z: float) -> Any:
    return new('geometry_msgs/msg/Vector3', x=x, y=y, z=z)
