"""Boxes in space as markers for RViz and Foxglove."""

from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from semantic_fast_sam_ros.core.objects.boxes_3d import Box3D, Boxes3D

LIFETIME = Duration(sec=2)  # of markers that no message takes away, as the node ended
LETTERS_M = 0.15  # height of the names
SMALLEST_M = 0.01  # side of a box that is drawn: a wall seen from the front has no depth


def marker_array(found: Boxes3D, header: Header) -> MarkerArray:
    """Return a box and a name for each object, in place of all markers of the message before."""
    message = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    for number, box in enumerate(found.boxes):
        message.markers.append(_cube(box, number, header))
        message.markers.append(_name(box, number, header))
    return message


def _cube(box: Box3D, number: int, header: Header) -> Marker:
    marker = _marker('objects', Marker.CUBE, box.centre, number, header)
    x, y, z = (max(SMALLEST_M, side) for side in box.size)
    red, green, blue = (value / 255 for value in box.colour)
    marker.scale, marker.color = Vector3(x=x, y=y, z=z), ColorRGBA(r=red, g=green, b=blue, a=0.4)
    return marker


def _name(box: Box3D, number: int, header: Header) -> Marker:
    marker = _marker('names', Marker.TEXT_VIEW_FACING, box.centre, number, header)
    marker.text = ' '.join([*(name for name, _ in box.hypotheses[:1]), box.id])
    marker.scale, marker.color = Vector3(z=LETTERS_M), ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    return marker


def _marker(
    kind: str, shape: Any, centre: tuple[float, float, float], number: int, header: Header
) -> Marker:
    x, y, z = centre
    marker = Marker(header=header, ns=kind, id=number, type=shape, action=Marker.ADD)
    marker.pose, marker.lifetime = Pose(position=Point(x=x, y=y, z=z)), LIFETIME
    return marker
