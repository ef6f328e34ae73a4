"""How an image's pixels lie on a smaller map, one axis at a time."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.jit import Floats, Ints, Line


@dataclass(frozen=True)
class Axis:
    """The rows, or the columns, of an image and of a map over it."""

    pixels: int  # of the image
    step: float  # map samples a pixel
    offset: float  # of the image's edge from the map's, in samples

    def positions(self, pixels: Tensor) -> Tensor:
        """Return where pixels lie on the map; 0 is the centre of its first sample."""
        return (pixels + 0.5) * self.step + (self.offset - 0.5)

    def points(self, count: int, device: torch.device) -> Tensor:
        """Return `count` points spread evenly over the image; 0 is the first pixel's centre."""
        return (torch.arange(count, device=device) + 0.5) * (self.pixels / count) - 0.5

    def shares(self, samples: int, low: Tensor, high: Tensor) -> Tensor:
        """Return how many pixels of N ranges lie nearest to each map sample, (N, samples)."""
        edges = (torch.arange(samples + 1, device=low.device) - self.offset) / self.step
        edges[0], edges[-1] = 0, self.pixels  # what lies before and behind the map is the edge's
        inside = edges[None].clamp_min(low[:, None]).minimum(high[:, None])
        return inside.diff(dim=1).clamp_min_(0)


@functools.lru_cache(maxsize=64)  # the same few sizes, image after image
def line(axis: Axis, count: int, samples: int) -> tuple[Floats, Line]:
    """Return `count` points spread evenly over the image, (P,), and where samples lie by them."""
    points: Floats = axis.points(count, torch.device('cpu')).numpy()
    place = axis.positions(torch.from_numpy(points)).clamp(0, samples - 1).numpy()
    before: Ints = place.astype(np.int32)
    behind: Ints = np.minimum(before + 1, samples - 1).astype(np.int32)
    share: Floats = (place - before).astype(np.float32)
    first: Ints = np.searchsorted(before, np.arange(samples + 1)).astype(np.int32)
    return points, (before, behind, share, first)


@dataclass(frozen=True)
class Cells:
    """The stretches between neighbouring map samples, and the pixels in each.

    Cell 0 lies before the first sample and the last behind the last one, where values stay as
    they are at the edge.
    """

    of_pixel: Tensor  # (P,) int64: the cell of each pixel
    fraction: Tensor  # (P,) float32: the pixel's place between the two samples
    first: Tensor  # (cells,) int64: first pixel of each cell
    stop: Tensor  # (cells,) int64: the one behind its last
    longest: int  # no inner cell has more pixels

    @staticmethod
    def along(axis: Axis, samples: int, device: torch.device) -> 'Cells':
        """Divide an axis over a map of so many samples."""
        place = axis.positions(torch.arange(axis.pixels, device=device)).clamp(-1, samples) + 1
        of_pixel = place.long().clamp(max=samples)
        numbers = torch.arange(samples + 1, device=device)
        first = torch.searchsorted(of_pixel, numbers)
        stop = torch.searchsorted(of_pixel, numbers, right=True)
        longest = min(axis.pixels, math.ceil(1 / axis.step) + 1)
        return Cells(of_pixel, place - of_pixel, first, stop, longest)

    def in_boxes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return which cells lie wholly, and which partly, in N ranges: (N, cells) bool each."""
        low, high, last = low[:, None], high[:, None], self.stop - 1
        wholly = (self.first >= low) & (last < high)
        return wholly, (last >= low) & (self.first < high) & (last >= self.first)

    def pixels(self, cells: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pixels of M cells, (M, longest), and which of them are real and in range."""
        number = self.first[cells][:, None] + torch.arange(self.longest, device=cells.device)
        real = number < self.stop[cells][:, None]
        real &= (number >= low[:, None]) & (number < high[:, None])
        return number.clamp(max=len(self.of_pixel) - 1), real
