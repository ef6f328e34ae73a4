"""A small ray caster: exact depth and masks of planes, boxes and spheres."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FX, FY, CX, CY = 260.0, 250.0, 158.3, 121.6  # pixels
SIZE = (240, 320)  # height, width
INTRINSICS = (FX, FY, CX, CY)


def rays() -> Floats:
    """Return the directions of all pixels with z = 1, (H, W, 3): times depth they are points."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([(u - CX) / FX, (v - CY) / FY, np.ones(SIZE)], -1)


@dataclass(frozen=True)
class Sphere:
    """By centre and radius, metres."""

    centre: tuple[float, float, float]
    radius: float

    def depth(self) -> Floats:
        """Return the depth at each pixel, (H, W); inf where it is not seen."""
        directions, centre = rays(), np.array(self.centre)
        a, b = (directions**2).sum(-1), directions @ centre
        root = b**2 - a * (centre @ centre - self.radius**2)
        nearest = (b - np.sqrt(np.maximum(root, 0))) / a
        return np.where(root > 0, nearest, np.inf)


@dataclass(frozen=True)
class Block:
    """A box by centre, size and its turn about the vertical, radians; thin: a plane."""

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    turn: float = 0.0

    def depth(self) -> Floats:
        """Return the depth at each pixel, (H, W); inf where it is not seen."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        to_block = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        directions = rays() @ to_block.T
        start = -to_block @ np.array(self.centre)
        half = np.array(self.size) / 2
        with np.errstate(divide='ignore'):
            ends = np.stack([(-half - start) / directions, (half - start) / directions])
        enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
        return np.where(enter <= leave, enter, np.inf)


def render(shapes: Sequence[Sphere | Block], wall: float) -> tuple[Floats, NDArray[np.uint16]]:
    """Return depth and the number of the shape at each pixel, from 1; 0: the wall behind."""
    depths = np.stack([np.full(SIZE, wall), *(shape.depth() for shape in shapes)])
    return depths.min(0), depths.argmin(0).astype(np.uint16)


def extent(depth: Floats, mask: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return centre and size of what is seen of a shape, from exact depth."""
    points = (rays() * depth[..., None])[mask]
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, high - low
