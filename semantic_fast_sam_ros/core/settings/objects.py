"""The settings of things as objects: how their numbers last."""

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
