"""Fit an image into a network's size as the YOLO family does: keep the aspect, pad with grey."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.networks.resampling import Axis

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

    def sample(self, maps: Tensor, batch: Sequence[int]) -> Tensor:
        """Return maps of a batch at points that lie evenly over the image in it.

        The points are as dense as the maps' own, and are these where they lie so.

        Args:
            maps: (N, C, h, w).
            batch: its height and width.
        """
        step = (batch[0] / maps.shape[2], batch[1] / maps.shape[3])
        first = (self.top / step[0], self.left / step[1])
        count = (self.height / step[0], self.width / step[1])
        if all(value.is_integer() for value in (*first, *count)):
            rows, columns = (slice(int(f), int(f + c)) for f, c in zip(first, count, strict=True))
            return maps[..., rows, columns]
        y = _even(self.top, self.height, max(1, round(count[0])), batch[0], maps)
        x = _even(self.left, self.width, max(1, round(count[1])), batch[1], maps)
        grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1)
        return functional.grid_sample(
            maps, grid.expand(len(maps), -1, -1, -1), padding_mode='border', align_corners=False
        )

    def axes(
        self, image: tuple[int, int], batch: tuple[int, ...], maps: tuple[int, ...]
    ) -> tuple[Axis, Axis]:
        """Return how rows and columns of an image lie on maps made from the batch; sizes given."""
        scaled, start = (self.height, self.width), (self.top, self.left)
        gains = [map_side / side for map_side, side in zip(maps, batch, strict=True)]
        down, across = (
            Axis(image[i], scaled[i] / image[i] * gains[i], start[i] * gains[i]) for i in (0, 1)
        )
        return down, across

    def to_image(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring boxes (N, 4), x1 y1 x2 y2, from the batch to an image (height, width)."""
        start, gain, limit = _frame(self, size, boxes.device)
        placed: Tensor = ((boxes - start) * gain).clamp_min(0).minimum(limit)
        return placed


def _even(start: int, side: int, count: int, whole: int, like: Tensor) -> Tensor:
    """Return where points lie on a side, from -1 to 1 over the whole of it, (count,)."""
    points = torch.arange(count, dtype=like.dtype, device=like.device)
    return 2 * (start + (points + 0.5) * (side / count)) / whole - 1


@functools.lru_cache(maxsize=64)  # the same few sizes, image after image: uploaded once
def _frame(place: Letterbox, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the corner in the batch, image pixels per batch pixel, and the size; x y x y each."""
    gain = (size[1] / place.width, size[0] / place.height)
    rows = [(place.left, place.top), gain, (size[1], size[0])]
    return torch.tensor([row * 2 for row in rows], device=device)


def letterbox(
    image: Tensor, size: int | tuple[int, int], dtype: torch.dtype, stride: int = 32
) -> tuple[Tensor, Letterbox]:
    """Scale and pad an image so that its longer side is `size` and both divide by `stride`.

    Rounds and pads as `ultralytics.data.augment.LetterBox(auto=True)`.

    Args:
        image: (3, H, W) uint8 RGB.
        size: longer side in pixels; rounded up to a multiple of `stride`. Or the height and width
            of the batch, where the network takes no others.
        dtype: of the batch.
        stride: of the network.

    Returns:
        (1, 3, h, w) in [0, 1], and the place of the image in it.
    """
    height, width = image.shape[1:]
    if isinstance(size, int):
        room = (-(-size // stride) * stride,) * 2
    else:
        room, stride = size, max(size)
    gain = min(room[0] / height, room[1] / width)
    scaled = (max(1, round(height * gain)), max(1, round(width * gain)))
    x = _resized_on_cpu(image, scaled) if image.device.type == 'cpu' else image[None].to(dtype)
    if x.shape[2:] != scaled:
        x = functional.interpolate(x, scaled, mode='bilinear')
    spare = [(most - side) % stride for most, side in zip(room, scaled, strict=True)]
    top, left = (round(s / 2 - 0.1) for s in spare)
    padded = (1, 3, scaled[0] + spare[0], scaled[1] + spare[1])
    batch = torch.full(padded, GREY, dtype=dtype, device=image.device)
    place = Letterbox(*scaled, top, left)
    torch.div(x, 255, out=place.crop(batch))
    return batch, place


def _resized_on_cpu(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bytes as ultralytics does, and several times as fast as torch; (1, 3, h, w) uint8."""
    pixels = image.permute(1, 2, 0).numpy()
    if pixels.shape[:2] != size:
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]
