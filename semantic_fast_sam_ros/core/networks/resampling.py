"""How an image's pixels lie on a smaller map, one axis at a time."""

import functools
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
        return _points(self.pixels, count, device)

    def shares(self, samples: int, low: Tensor, high: Tensor) -> Tensor:
        """Return how many pixels of N ranges lie nearest to each map sample, (N, samples)."""
        inside = (
            _edges(self, samples, low.device)[None].clamp_min(low[:, None]).minimum(high[:, None])
        )
        return inside.diff(dim=1).clamp_min_(0)


@functools.lru_cache(maxsize=64)  # the same few sizes, image after image
def _points(pixels: int, count: int, device: torch.device) -> Tensor:
    return (torch.arange(count, device=device) + 0.5) * (pixels / count) - 0.5


@functools.lru_cache(maxsize=64)
def _edges(axis: Axis, samples: int, device: torch.device) -> Tensor:
    """Return the pixels at which one map sample's end and the next one's begin, (samples + 1,)."""
    edges = (torch.arange(samples + 1, device=device) - axis.offset) / axis.step
    edges[0], edges[-1] = 0, axis.pixels  # what lies before and behind the map is the edge's
    return edges


@functools.lru_cache(maxsize=64)
def line(axis: Axis, count: int, samples: int) -> tuple[Floats, Line]:
    """Return `count` points spread evenly over the image, (P,), and where samples lie by them."""
    points: Floats = axis.points(count, torch.device('cpu')).numpy()
    place = axis.positions(torch.from_numpy(points)).clamp(0, samples - 1).numpy()
    before: Ints = place.astype(np.int32)
    behind: Ints = np.minimum(before + 1, samples - 1).astype(np.int32)
    share: Floats = (place - before).astype(np.float32)
    first: Ints = np.searchsorted(before, np.arange(samples + 1)).astype(np.int32)
    return points, (before, behind, share, first)
