"""Outlines and names of masks for Foxglove's image panel, where its messages are installed."""

from typing import Any

import numpy as np
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.outputs.outlines import Outline, Outlines

try:
    from foxglove_msgs.msg import (
        Color,
        ImageAnnotations,
        Point2,
        PointsAnnotation,
        TextAnnotation,
    )
except ImportError:  # an optional package: without it there is no such topic
    ImageAnnotations = None

THICKNESS_PX, FONT_PX = 2.0, 14.0


def image_annotations(outlines: Outlines, header: Header) -> Any:
    """Return a foxglove_msgs/ImageAnnotations: a closed line a part of a mask, a name a mask."""
    message = ImageAnnotations()
    for mask in outlines.masks:
        colour = _colour(*mask.colour)
        for polygon in mask.polygons:
            line = PointsAnnotation(timestamp=header.stamp, type=PointsAnnotation.LINE_LOOP)
            line.points = [Point2(x=x, y=y) for x, y in polygon.tolist()]
            line.outline_color, line.thickness = colour, THICKNESS_PX
            message.points.append(line)
        if mask.name:
            message.texts.append(_name(mask, colour, header))
    return message


def _name(mask: Outline, colour: Any, header: Header) -> Any:
    """Return the name, in the middle of the box of the largest part."""
    boxes = [(polygon.min(0), polygon.max(0)) for polygon in mask.polygons]
    low, high = max(boxes, key=lambda box: np.prod(box[1] - box[0]))
    x, y = ((low + high) / 2).tolist()
    text = TextAnnotation(timestamp=header.stamp, text=mask.name, font_size=FONT_PX)
    half_width, half_height = FONT_PX * len(mask.name) / 4, FONT_PX / 2
    text.position = Point2(x=max(0.0, x - half_width), y=max(FONT_PX, y + half_height))
    text.text_color, text.background_color = _colour(255, 255, 255), colour
    return text


def _colour(red: int, green: int, blue: int) -> Any:
    return Color(r=red / 255, g=green / 255, b=blue / 255, a=1.0)
