"""Boxes in space for masks of things, from a depth image: of what the camera sees of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.tracks import things_of
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import (
    Detection,
    detections,
    found_detections,
)
from semantic_fast_sam_ros.core.outputs.point_cloud import require_registered
from semantic_fast_sam_ros.core.outputs.resize import resize_result
from semantic_fast_sam_ros.core.settings.objects import ObjectSettings

Points = NDArray[np.float64]  # (N, 3) metres
Mask = NDArray[np.bool_]  # (h, w)
Depth = NDArray[np.float32]  # (h, w) metres, NaN where there is none
Intrinsics = tuple[float, float, float, float]  # fx, fy, cx, cy in pixels

MINIMUM_POINTS = 12
MAXIMUM_PIXELS = 40_000  # of one object's place in the image that are looked at, on a grid
MAXIMUM_POINTS = 5_000  # of one object that its box is put round, spread evenly
EDGE_SHARE = 0.05  # of the mask's shorter side: so much of its edge may be background
LAYER = 0.02  # of the distance: depths that lie farther apart belong to different objects
LAYER_POINTS = 0.002  # share of an object's points that makes a layer one of it
OUTLIERS = 0.5  # per cent of the points at either end that a box leaves out


@dataclass(frozen=True)
class Box3D:
    """What is seen of an object, in a box parallel to the axes of its frame."""

    id: str  # of the mask, as in ~/detections
    centre: tuple[float, float, float]  # metres
    size: tuple[float, float, float]  # metres; of what is seen: nobody knows how deep a thing is
    covariance: NDArray[np.float64]  # (3, 3) of the points in the box, square metres
    hypotheses: tuple[tuple[str, float], ...]  # class name and score, best first
    colour: tuple[int, int, int]  # RGB of the class


@dataclass(frozen=True)
class Boxes3D:
    """The objects of an image."""

    boxes: tuple[Box3D, ...]
    without_depth: int  # things that have no box, as too little depth was measured on them


def boxes_3d(
    result: SegmentationResult,
    depth: Depth,
    intrinsics: Intrinsics,
    settings: ObjectSettings,
    transform: NDArray[np.float64] | None = None,
    found: Found | None = None,
) -> Boxes3D:
    """Return a box for each mask of a thing, or that a query found, on which depth was measured.

    The depths of a mask are sorted into layers of LAYER of the distance. Those that follow each
    other without a gap round the median, of the mask less its edge, are the object's; background
    that shows at the edge or through holes lies behind a gap. The box holds the mask's points of
    these depths but for OUTLIERS.

    Args:
        result: of the camera's image.
        depth: of the same view, at any size.
        intrinsics: of the depth image.
        settings: how much of a mask must have depth.
        transform: (4, 4) from the camera's optical frame to the one that boxes are to be in;
            None: that frame itself (x right, y down, z forward).
        found: what a query says of the masks: boxes of its answers with its words, likeliest
            first, things or not. None: of all things, with their classes.

    Raises:
        FrameError: depth is not registered to the image, or not calibrated.
    """
    require_registered(depth.shape, result.label_map.shape, intrinsics)
    sized = resize_result(result, (depth.shape[0], depth.shape[1]))
    if found is None:
        rows = things_of(sized).rows
        every = detections(sized)
        told = tuple(every[row] for row in rows)
    else:
        rows = np.array([row for row, _ in found.ranked()], np.int64)
        told = found_detections(sized, found)
    palette = sized.vocabulary.palette()
    to_frame = np.eye(4) if transform is None else transform
    boxes = []
    for row, words, (mask, place) in zip(rows, told, _cut(sized, rows), strict=True):
        points = _points(mask, place, depth, intrinsics, settings.minimum_depth)
        if points is not None:
            red, green, blue = palette[int(sized.class_ids[row, 0])].tolist()
            side = place[0].step * np.median(points[:, 2])
            pixel = side * np.array([1 / intrinsics[0], 1 / intrinsics[1], 0])
            boxes.append(_box(points, pixel, to_frame, words, (red, green, blue)))
    return Boxes3D(tuple(boxes), len(rows) - len(boxes))


def _cut(
    result: SegmentationResult, rows: NDArray[np.int64]
) -> Iterator[tuple[Mask, tuple[slice, slice]]]:
    """Give the pixels of masks in their boxes, and where those are: of large ones each so-many-th.

    The pixels that are left out lie round those taken, which stand for them.
    """
    height, width = result.instances.shape
    for row in rows:
        left, top = np.floor(result.boxes[row, :2]).astype(int).clip(0) - 1
        right, bottom = np.ceil(result.boxes[row, 2:]).astype(int) + 1
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, width), min(bottom, height)
        step = max(1, math.ceil(math.sqrt((right - left) * (bottom - top) / MAXIMUM_PIXELS)))
        first = (step - 1) // 2
        place = slice(top + first, bottom, step), slice(left + first, right, step)
        yield result.instances[place] == result.mask_ids[row], place


def _points(
    mask: Mask,
    place: tuple[slice, slice],
    depth: Depth,
    intrinsics: Intrinsics,
    minimum_share: float,
) -> Points | None:
    """Return the points of an object in the camera's frame; None where depth does not do."""
    inside, measured = depth[place], np.isfinite(depth[place])
    sure = inside[_without_edge(mask) & measured]
    if len(sure) < MINIMUM_POINTS or np.sum(mask & measured) < minimum_share * mask.sum():
        return None
    near, far = depth_range(inside[mask & measured], float(np.median(sure)))
    v, u = np.nonzero(mask & measured & (inside >= near) & (inside <= far))
    if len(v) < MINIMUM_POINTS:
        return None
    step = -(-len(v) // MAXIMUM_POINTS)
    v, u = v[::step], u[::step]
    z = inside[v, u].astype(np.float64)
    fx, fy, cx, cy = intrinsics
    x = (u * place[1].step + place[1].start - cx) / fx * z
    y = (v * place[0].step + place[0].start - cy) / fy * z
    return np.stack([x, y, z], 1)


def _without_edge(mask: Mask) -> Mask:
    """Return a mask less its edge, or all of it where little else is left."""
    across = min(np.sum(mask.any(0)), np.sum(mask.any(1)))
    pixels = max(1, round(EDGE_SHARE * across))
    framed = np.pad(mask, 1).view(np.uint8)
    inner = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=pixels)[1:-1, 1:-1] > 0
    return inner if inner.sum() >= MINIMUM_POINTS else mask


def depth_range(depths: NDArray[np.float32], inner: float) -> tuple[float, float]:
    """Return the nearest and the farthest depth of what has an inner one, without a gap between.

    Where nothing has just that depth, as the median of two things may lie between them, it is what
    comes nearest to it.

    Args:
        depths: (N,) of a mask, metres.
        inner: one that is surely the object's.
    """
    layers = np.round((depths / inner - 1) / LAYER).clip(-60, 1000).astype(int)
    lowest = min(0, int(layers.min()))
    counts = np.bincount(layers - lowest, minlength=1 - lowest)
    filled = counts >= max(2, LAYER_POINTS * len(depths))
    layer = np.arange(lowest, lowest + len(counts))
    own = min(layer[filled], key=abs, default=0)
    empty = layer[~filled]
    first = max(empty[empty < own], default=lowest - 1) + 1
    last = min(empty[empty > own], default=lowest + len(counts)) - 1
    return inner * (1 + LAYER * (first - 0.5)), inner * (1 + LAYER * (last + 0.5))


def _box(
    points: Points,
    pixel: NDArray[np.float64],
    transform: NDArray[np.float64],
    told: Detection,
    colour: tuple[int, int, int],
) -> Box3D:
    """Return the box round points, (N, 3), each of which stands for a pixel of that size."""
    turn = transform[:3, :3]
    placed = points @ turn.T + transform[:3, 3]
    low, high = np.percentile(placed, (OUTLIERS, 100 - OUTLIERS), axis=0)
    centre, size = (low + high) / 2, high - low + np.abs(turn) @ pixel
    return Box3D(
        told.id,
        (float(centre[0]), float(centre[1]), float(centre[2])),
        (float(size[0]), float(size[1]), float(size[2])),
        np.cov(placed.T),
        told.hypotheses,
        colour,
    )
