"""The settings of what stays from one image of a camera to the next."""

from dataclasses import dataclass

from semantic_fast_sam_ros.core.settings.setting import setting


@dataclass(frozen=True)
class TemporalSettings:
    """Names and labels that are taken over from the image before; nothing is, as shipped."""

    reuse: bool = setting(
        False,
        'labellers clip and ssa_engine: a mask that covers one of the image before and looks as '
        'it did keeps its names, and is not encoded again',
        live=True,
    )
    reuse_iou: float = setting(
        0.5,
        'reuse: the two masks overlap by at least this much, intersection over union',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    reuse_change: float = setting(
        20.0,
        'reuse: the picture in the box differs by at most this much from the one that was '
        'encoded, mean over 8 x 8 points, grey levels of 255',
        minimum=0.0,
        maximum=255.0,
        live=True,
    )
    reuse_images: int = setting(
        5,
        'reuse: names are kept for at most so many images in a row, so that no error stays',
        minimum=1,
        maximum=1000,
        live=True,
    )
    hysteresis: float = setting(
        0.0,
        'a pixel keeps the label of the image before while its new confidence is below this '
        'share of the old one, which shrinks by it each image; 0: never',
        minimum=0.0,
        maximum=0.95,
        live=True,
    )

    @property
    def active(self) -> bool:
        """Whether an image is labelled otherwise where the one before is known."""
        return self.reuse or self.hysteresis > 0
