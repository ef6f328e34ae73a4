"""The settings of things as objects: numbers that last, boxes in space."""

from dataclasses import dataclass

from semantic_fast_sam_ros.core.settings.setting import setting

OFF, BYTETRACK = 'off', 'bytetrack'  # of `tracking`


@dataclass(frozen=True)
class ObjectSettings:
    """What things are beside their masks."""

    track_keep_s: float = setting(
        2.0,
        'tracking: a thing that is not seen for longer gets a new number when it comes back; '
        'longer than the time between two images',
        minimum=0.05,
        maximum=60.0,
    )
    boxes_3d: bool = setting(
        False,
        'publish ~/detections_3d and ~/objects/markers as well: boxes in space for things; takes '
        'depth/image (registered to the camera) and depth/camera_info, as the cloud does',
    )
    frame: str = setting(
        '',
        'frame that boxes are in and parallel to, such as map, by tf2_ros at the stamp of the '
        "image; empty: the camera's optical frame",
    )
    minimum_depth: float = setting(
        0.2,
        'boxes: share of a mask that must have depth; things with less have no box',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
