"""Fit an image into a network's size as the YOLO family does: keep the aspect, pad with grey."""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

GREY = 114 / 255


@dataclass(frozen=True)
class Letterbox:
    """Where the image lies in the padded batch."""

    height: int  # of the scaled image inside the batch, pixels
    width: int
    top: int
    left: int

    def crop(self, maps: Tensor) -> Tensor:
        """Cut the padding off maps of the batch's size, (..., H, W)."""
        return maps[..., self.top : self.top + self.height, self.left : self.left + self.width]


def letterbox(
    image: Tensor, size: int, dtype: torch.dtype, stride: int = 32
) -> tuple[Tensor, Letterbox]:
    """Scale and pad an image so that its longer side is `size` and both divide by `stride`.

    Rounds and pads as `ultralytics.data.augment.LetterBox(auto=True)`.

    Args:
        image: (3, H, W) uint8 RGB.
        size: longer side in pixels; rounded up to a multiple of `stride`.
        dtype: of the batch.
        stride: of the network.

    Returns:
        (1, 3, h, w) in [0, 1], channels last, and the place of the image in it.
    """
    height, width = image.shape[1:]
    size = -(-size // stride) * stride
    gain = min(size / height, size / width)
    scaled = (max(1, round(height * gain)), max(1, round(width * gain)))
    x = image[None].to(dtype) / 255
    if scaled != (height, width):
        x = functional.interpolate(x, scaled, mode='bilinear')
    spare = [(size - side) % stride / 2 for side in scaled]
    top, left = (round(s - 0.1) for s in spare)
    bottom, right = (round(s + 0.1) for s in spare)
    x = functional.pad(x, (left, right, top, bottom), value=GREY)
    return x.contiguous(memory_format=torch.channels_last), Letterbox(*scaled, top, left)
