"""Masks as FastSAM gives them: sums of a few small prototype maps, cut out only where needed.

A mask is where a weighted sum of the prototypes lies above zero (Bolya et al., YOLACT, ICCV
2019, section 3.1). Cut out at image size, sixty masks are 18 million pixels a frame at 640 x 480,
nearly all of them far from an edge.
"""

import functools
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeGuard

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.masks import mask_loops
from semantic_fast_sam_ros.core.networks.resampling import Axis, line

HALF = 2  # of the network's size, in prototypes, which have a quarter of it
PAINT_CHUNK_ELEMENTS = 1 << 26  # of masks that are cut out at once to be painted
Size = tuple[int, ...]  # height, width


@dataclass(frozen=True)
class PrototypeMasks:
    """N masks of one image, not cut out yet."""

    prototypes: Tensor  # (K, h, w) float32
    coefficients: Tensor  # (N, K) float32
    boxes: Tensor  # (N, 4) float32, x1 y1 x2 y2 in pixels: a mask ends where its box does
    rows: Axis
    columns: Axis
    fine: bool = True  # edges of image size; else of half the network's
    _cut: dict[Size, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return int(self.coefficients.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.rows.pixels, self.columns.pixels

    @property
    def own_size(self) -> Size:
        """Height and width of what is cut out where edges need not be fine."""
        height, width = (
            max(1, round(HALF * axis.pixels * axis.step)) for axis in (self.rows, self.columns)
        )
        return height, width

    @cached_property
    def values(self) -> Tensor:
        """The sums, (N, h, w): above zero inside the masks."""
        flat = self.coefficients @ self.prototypes.flatten(1)
        return flat.view(-1, *self.prototypes.shape[1:])

    def take(self, index: Tensor | slice) -> 'PrototypeMasks':
        """Return the masks that an index or a slice selects, in its order."""
        cut = {size: masks[index] for size, masks in self._cut.items()}
        coefficients, boxes = self.coefficients[index], self.boxes[index]
        taken = PrototypeMasks(
            self.prototypes, coefficients, boxes, self.rows, self.columns, self.fine, cut
        )
        if 'values' in self.__dict__:
            taken.__dict__['values'] = self.values[index]
        return taken

    def at(self, size: Size) -> Tensor:
        """Cut the masks out on a grid of points spread evenly over the image.

        Returns:
            (N, height, width) bool.
        """
        if size not in self._cut:
            if self.fine or size[0] <= self.own_size[0]:
                self._cut[size] = self._sample(size)
            else:
                self._cut[size] = nearest(self.at(self.own_size), size)
        return self._cut[size]

    def cut(self, x: Tensor, y: Tensor) -> Tensor:
        """Cut each mask out at points of its own, rows times columns.

        Args:
            x: (N, S) pixel columns, 0 is the first pixel's centre.
            y: (N, R) pixel rows.

        Returns:
            (N, R, S) bool.
        """
        grid = self._grid(x, y)
        sampled = functional.grid_sample(
            self.values[:, None], grid, padding_mode='border', align_corners=False
        )
        x1, y1, x2, y2 = self.boxes[:, :, None].unbind(1)
        inside = ((y >= y1) & (y < y2))[:, :, None] & ((x >= x1) & (x < x2))[:, None, :]
        return (sampled[:, 0] > 0) & inside

    def areas(self) -> Tensor:
        """Return about the number of pixels in each mask, (N,) float32: samples are not parted."""
        x1, y1, x2, y2 = self.boxes.unbind(1)
        height, width = self.prototypes.shape[1:]
        return self._summed(self.rows.shares(height, y1, y2), self.columns.shares(width, x1, x2))

    def filled(self) -> Tensor:
        """Return which masks can have a pixel, (N,) bool."""
        x1, y1, x2, y2 = self.boxes.unbind(1)
        height, width = self.prototypes.shape[1:]
        row, column = (torch.arange(n, device=self.boxes.device) for n in (height, width))
        near_rows = _between(row, self.rows.positions(y1) - 1, self.rows.positions(y2) + 1)
        near_columns = _between(
            column, self.columns.positions(x1) - 1, self.columns.positions(x2) + 1
        )
        return self._summed(near_rows.float(), near_columns.float()) > 0

    def _summed(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return what samples above zero sum to, weighed by row (N, h) and column (N, w)."""
        if jit.suits(self.boxes.device):
            arrays = (t.contiguous().numpy() for t in (self.values, rows, columns))
            return torch.from_numpy(mask_loops.weighted_areas(*arrays))
        across = (self.values > 0).to(columns.dtype) @ columns[:, :, None]
        return (across[:, :, 0] * rows).sum(1)

    def without(self, dropped: Tensor) -> 'PrototypeMasks':
        """Return as many masks, of which some, dropped (N,) bool, have no pixel any more."""
        boxes = self.boxes.masked_fill(dropped[:, None], 0.0)
        emptied = replace(self, boxes=boxes, _cut={})
        if 'values' in self.__dict__:
            emptied.__dict__['values'] = self.values
        return emptied

    def topmost(self) -> Tensor:
        """Return for each pixel the last mask that covers it, (H, W) int16 from 1; 0 = none.

        Where loops suit, the masks are not cut out for it.
        """
        if self.fine and jit.suits(self.boxes.device):
            top = torch.zeros(self.size, dtype=torch.int16)
            arguments = (*self._points(self.size), top.numpy())
            jit.in_bands(partial(mask_loops.topmost, *arguments), self.size[0])
            return top
        order = torch.arange(1, len(self) + 1, dtype=torch.int16, device=self.boxes.device)
        return self.highest(order)[0]

    def highest(self, *numbers: Tensor) -> list[Tensor]:
        """Return for each pixel the highest number of the masks that cover it, (H, W), or 0.

        Args:
            numbers: (N,) int16 each, from 0; as many maps are returned.
        """
        parts = _chunks(len(self), self.size)
        maps = [
            highest_of(self.take(part).at(self.size), [n[part] for n in numbers]) for part in parts
        ]
        return [functools.reduce(torch.maximum, several) for several in zip(*maps, strict=True)]

    def count(self, labels: Tensor, classes: int) -> Tensor:
        """Return how many points of a grid have each label inside each mask; if `looped`.

        Args:
            labels: (h, w) integers below `classes`, on points spread evenly over the image.
            classes: C.

        Returns:
            (N, C) float32.
        """
        values = labels.to(torch.int32).contiguous().numpy()
        work = partial(mask_loops.count, *self._points(values.shape), values, classes)
        return torch.from_numpy(sum(jit.in_bands(work, len(values)))).float()

    def add_up(self, maps: Tensor) -> Tensor:
        """Return what maps (C, h, w) float32 sum to inside each mask, (N, C); if `looped`."""
        values = maps.contiguous().numpy()
        work = partial(mask_loops.add_up, *self._points(values.shape[1:]), values)
        return torch.from_numpy(sum(jit.in_bands(work, values.shape[1])))

    def spread(self, weights: Tensor, maps: Tensor) -> None:
        """Add each mask's weights (N, C) to contiguous maps (C, h, w) inside it; if `looped`."""
        points = self._points(maps.shape[1:])
        arrays = (*points, weights.contiguous().numpy(), maps.numpy())
        jit.in_bands(partial(mask_loops.spread, *arrays), maps.shape[1])

    def _sample(self, size: Size) -> Tensor:
        """Sum the prototypes at the points of a grid; interpolating and summing commute."""
        if jit.suits(self.boxes.device):
            masks = torch.zeros((len(self), *size), dtype=torch.bool)
            arguments = (*self._points(size), masks.numpy())
            jit.in_bands(partial(mask_loops.cut, *arguments), size[0])
            return masks
        device = self.prototypes.device
        y, x = (a.points(n, device) for a, n in zip((self.rows, self.columns), size, strict=True))
        sampled = functional.grid_sample(
            self.prototypes[None],
            _grid_of_points(self.rows, self.columns, self.prototypes.shape[1:], size, device),
            padding_mode='border',
            align_corners=False,
        )
        masks = (self.coefficients @ sampled[0].flatten(1) > 0).view(-1, *size)
        x1, y1, x2, y2 = self.boxes.unbind(1)
        masks &= _between(y, y1, y2)[:, :, None]
        masks &= _between(x, x1, x2)[:, None, :]
        return masks

    def _points(self, size: Size) -> tuple[jit.Floats, jit.Ints, jit.Line, jit.Line]:
        """Return what `mask_loops` needs of the masks to look at a grid of points."""
        height, width = self.prototypes.shape[1:]
        y, down = line(self.rows, size[0], height)
        x, across = line(self.columns, size[1], width)
        boxes = self.boxes.numpy()
        ranges = [np.searchsorted(p, boxes[:, i]) for p, i in ((x, 0), (y, 1), (x, 2), (y, 3))]
        return self.values.numpy(), np.stack(ranges, 1).astype(np.int32), down, across

    def _grid(self, x: Tensor, y: Tensor) -> Tensor:
        """Return where columns (N, S) and rows (N, R) of pixels lie, as grid_sample takes it."""
        return _grid(self.rows, self.columns, self.prototypes.shape[1:], x, y)


def _grid(rows: Axis, columns: Axis, samples: Size, x: Tensor, y: Tensor) -> Tensor:
    # From -1 at the map's one edge to 1 at the other.
    down = (2 * rows.positions(y) + 1) / samples[0] - 1
    across = (2 * columns.positions(x) + 1) / samples[1] - 1
    shape = (len(x), y.shape[1], x.shape[1])
    return torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], -1)


@functools.lru_cache(maxsize=4)  # the same few sizes, image after image
def _grid_of_points(
    rows: Axis, columns: Axis, samples: Size, size: Size, device: torch.device
) -> Tensor:
    """Return where points spread evenly over the image lie, (1, height, width, 2)."""
    x, y = columns.points(size[1], device), rows.points(size[0], device)
    return _grid(rows, columns, samples, x[None], y[None])


Shapes = Tensor | PrototypeMasks


def at(masks: Shapes, size: Size) -> Tensor:
    """Return masks at points spread evenly over their image, (N, height, width) bool."""
    if isinstance(masks, PrototypeMasks):
        return masks.at(size)
    return masks if tuple(masks.shape[1:]) == size else nearest(masks, size)


def looped(masks: Shapes, size: Size) -> TypeGuard[PrototypeMasks]:
    """Say whether a loop over a grid's points takes the masks without cutting them out."""
    if not isinstance(masks, PrototypeMasks) or not jit.suits(masks.boxes.device):
        return False
    return masks.fine or size[0] <= masks.own_size[0]


def nearest(masks: Tensor, size: Size) -> Tensor:
    """Resize maps (N, h, w) of any type to the nearest sample; N may be 0."""
    row, column = (
        ((torch.arange(wanted, device=masks.device) + 0.5) * (have / wanted)).long()
        for wanted, have in zip(size, masks.shape[1:], strict=True)
    )
    return masks[:, row][:, :, column]


def topmost_of(masks: Tensor) -> Tensor:
    """Return the last of masks (N, H, W) bool over each pixel, (H, W) int16 from 1; 0 = none."""
    count, height, width = masks.shape
    order = torch.arange(1, count + 1, dtype=torch.int16, device=masks.device)
    parts = _chunks(count, (height, width))
    found = [highest_of(masks[part], [order[part]])[0] for part in parts]
    return functools.reduce(torch.maximum, found)


def highest_of(masks: Tensor, numbers: list[Tensor]) -> list[Tensor]:
    """Return for each pixel the highest of the numbers (N,) of masks (N, H, W) over it, or 0."""
    if len(masks) == 0:
        return [n.new_zeros(masks.shape[1:]) for n in numbers]
    return [(masks * n[:, None, None]).amax(0) for n in numbers]


def _chunks(count: int, size: Size) -> list[slice]:
    """Return slices of so many masks, one at least, each of which fits in memory cut out."""
    step = max(1, PAINT_CHUNK_ELEMENTS // (size[0] * size[1]))
    return [slice(start, start + step) for start in range(0, max(1, count), step)]


def _between(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return which of P values lie in N half-open ranges, (N, P) bool."""
    return (values >= low[:, None]) & (values < high[:, None])
