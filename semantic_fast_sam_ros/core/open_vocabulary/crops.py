"""Crops of all masks in one batch on the image's device, neighbours blurred or painted over."""

import functools
from functools import partial

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.masks.prototypes import PrototypeMasks, Shapes
from semantic_fast_sam_ros.core.open_vocabulary import crop_loops

FILLS = ('blur', 'mean', 'none')
BLUR_SHARE = 6  # the blur's window is this part of the crop's side
LEVELS = 5  # the image and its halved copies that crops are cut from
CROPS_A_THREAD = 4  # so many are worth waking one
GREY = 114.0  # what lies outside the image, 0-255


def square_boxes(boxes: Tensor, scale: float) -> Tensor:
    """Return squares round the centres of boxes, `scale` times their longer side.

    Squares keep the aspect ratio of what is inside; they may reach out of the image.

    Args:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels, half-open.
        scale: 1 just holds the box.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True)
    half = longer.clamp_min(1) * scale / 2
    return torch.cat([centre - half, centre + half], 1)


def scaled_boxes(boxes: Tensor, scale: float, size: tuple[int, int]) -> Tensor:
    """Return boxes with their sides times `scale`, cut off where they leave the image.

    Args:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels, half-open.
        scale: 1 leaves them.
        size: (height, width) of the image.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1) * scale / 2
    limit = boxes.new_tensor([size[1], size[0]])
    corners = [(centre - half).clamp_min(0), torch.minimum(centre + half, limit)]
    return torch.cat(corners, 1)


def cut(image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut and resize boxes out of an image, from the halved copy that comes closest from above.

    Args:
        image: (3, H, W) uint8 RGB.
        boxes: (N, 4) pixels, half-open; grey where they leave the image.
        size: side of the crops, pixels.

    Returns:
        (N, 3, size, size) float32, 0-255.
    """
    height, width = image.shape[1:]
    shrink = (boxes[:, 2:] - boxes[:, :2]).amin(1) / size
    level = shrink.log2().floor().long().clamp(0, LEVELS - 1)
    if jit.suits(image.device):
        return _cut_by_loop(image, boxes, level, size)
    atlas, corners = _halved_copies(image)
    level = level.clamp_max(len(corners) - 1)
    gain = 0.5 ** level[:, None]
    x, y = _centres(boxes, size)
    limit = torch.stack([width * gain, height * gain], 1).ceil() - 1  # last pixel of the copy
    columns = _taps(x * gain - 0.5, limit[:, 0])
    rows = _taps(y * gain - 0.5, limit[:, 1])
    left, top = corners[level].T[:, :, None]
    flat, stride = atlas.flatten(1), atlas.shape[2]
    crops = torch.zeros((), device=image.device)
    for row, row_share in rows:
        for column, column_share in columns:
            index = (row + top)[:, :, None] * stride + (column + left)[:, None, :]
            share = row_share[:, :, None] * column_share[:, None, :]
            crops = crops + flat[:, index.flatten()].reshape(3, *index.shape) * share
    inside = _inside(boxes, (height, width), size)
    return torch.where(inside, crops, GREY).movedim(0, 1)


def cut_masks(masks: Shapes, boxes: Tensor, size: int) -> Tensor:
    """Cut mask i by box i, each pixel taking the nearest value; False outside the image.

    Plain indexing: a float copy of 300 masks of a large image would not fit in memory.

    Args:
        masks: (N, H, W) bool, or not cut out.
        boxes: (N, 4) pixels, half-open.
        size: side of the crops, pixels.

    Returns:
        (N, size, size) bool.
    """
    height, width = masks.size if isinstance(masks, PrototypeMasks) else masks.shape[1:]
    x, y = _centres(boxes, size)
    inside = _inside(boxes, (height, width), size)
    x, y = x.floor().clamp(0, width - 1), y.floor().clamp(0, height - 1)
    if isinstance(masks, PrototypeMasks):
        return masks.cut(x, y) & inside
    index = torch.arange(len(masks), device=masks.device)[:, None, None]
    return masks[index, y.long()[:, :, None], x.long()[:, None, :]] & inside


def hide_neighbours(crops: Tensor, inside: Tensor, fill: str, mean: Tensor) -> Tensor:
    """Blur or paint over the pixels outside the masks.

    Args:
        crops: (N, 3, S, S) float32.
        inside: (N, S, S) bool.
        fill: blur, mean (one colour) or none (leave them).
        mean: (3,) the colour, in the crops' range.
    """
    if fill == 'none':
        return crops
    if fill == 'blur' and jit.suits(crops.device):
        blurred = crops.contiguous().clone()
        arrays = (blurred.numpy(), inside.contiguous().numpy(), _window(crops.shape[-1]))
        jit.in_bands(partial(crop_loops.blur_outside, *arrays), len(crops), CROPS_A_THREAD)
        return blurred
    hidden = box_blur(box_blur(crops)) if fill == 'blur' else mean[:, None, None].expand_as(crops)
    return torch.where(inside[:, None], crops, hidden)


def mask_crops(
    image: Tensor, masks: Shapes, boxes: Tensor, size: int, scale: float, fill: str, mean: Tensor
) -> Tensor:
    """Return one crop a mask, (N, 3, size, size) float32 0-255, with its neighbours hidden.

    Args:
        image: (3, H, W) uint8 RGB.
        masks: (N, H, W) bool, or not cut out.
        boxes: (N, 4) of these masks, x1 y1 x2 y2 in pixels, half-open.
        size: side of the crops, pixels.
        scale: how far the square crops reach, in longer sides of the boxes.
        fill: see `hide_neighbours`.
        mean: (3,) 0-255.
    """
    squares = square_boxes(boxes, scale)
    return hide_neighbours(
        cut(image, squares, size), cut_masks(masks, squares, size), fill, mean.to(image.device)
    )


def box_blur(crops: Tensor) -> Tensor:
    """Average (N, 3, S, S) over a square window of a sixth of the side, down and across."""
    window = _window(crops.shape[-1])
    for kernel in ((window, 1), (1, window)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        crops = functional.avg_pool2d(crops, kernel, 1, padding, count_include_pad=False)
    return crops


def _window(size: int) -> int:
    return max(3, size // BLUR_SHARE) | 1


def _cut_by_loop(image: Tensor, boxes: Tensor, level: Tensor, size: int) -> Tensor:
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    copies, places = _halved_by_loop(pixels, int(level.max()) if len(level) else 0)
    level = level.clamp_max(len(places) - 1)
    crops = torch.empty((len(boxes), 3, size, size))
    work = partial(
        crop_loops.cut,
        pixels,
        copies,
        places,
        level.int().numpy(),
        boxes.contiguous().numpy(),
        GREY,
        crops.numpy(),
    )
    jit.in_bands(work, len(boxes), CROPS_A_THREAD)
    return crops


def _halved_by_loop(image: jit.Bytes, last: int) -> tuple[jit.Floats, jit.Ints]:
    """Return the halved copies of (H, W, 3) up to a level, and the places of all levels.

    As `crop_loops.cut` takes them.
    """
    height, width = image.shape[:2]
    places = [(0, height, width)]
    row = 0
    while len(places) <= last and min(places[-1][1:]) >= 2:
        _, height, width = places[-1]
        places.append((row, (height + 1) // 2, (width + 1) // 2))
        row += (height + 1) // 2
    copies = np.empty((row, (image.shape[1] + 1) // 2, 3), np.float32)
    source: jit.Bytes | jit.Floats = image
    for top, height, width in places[1:]:
        target = copies[top : top + height, :width]
        jit.in_bands(partial(crop_loops.halve, source, target), height)
        source = target
    return copies, np.array(places, np.int32)


def _halved_copies(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the image and its halved copies on one canvas, and their corners x, y (levels, 2)."""
    copy = image.float()
    height, width = copy.shape[1:]
    atlas = copy.new_zeros((3, height + LEVELS, width + (width + 1) // 2))
    corners, corner = [], (0, 0)
    for level in range(LEVELS):
        rows, columns = copy.shape[1:]
        atlas[:, corner[1] : corner[1] + rows, corner[0] : corner[0] + columns] = copy
        corners.append(corner)
        corner = (width, corner[1] + rows if level else 0)
        if min(rows, columns) < 2:
            break
        copy = functional.avg_pool2d(copy, 2, ceil_mode=True, count_include_pad=False)
    return atlas, torch.tensor(corners, device=image.device)


def _taps(at: Tensor, limit: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the two pixels round each point, kept in 0 ... limit, with their bilinear shares."""
    first = at.floor()
    share = at - first
    pixels = [torch.minimum(p.clamp_min(0), limit).long() for p in (first, first + 1)]
    return [(pixels[0], 1 - share), (pixels[1], share)]


def _centres(boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the x and y of the crops' pixel centres in the image, (N, size) each."""
    steps = _steps(size, boxes.device)
    extent = boxes[:, 2:] - boxes[:, :2]
    points = boxes[:, :2, None] + steps * extent[:, :, None]
    return points[:, 0], points[:, 1]


@functools.lru_cache(maxsize=8)
def _steps(size: int, device: torch.device) -> Tensor:
    return (torch.arange(size, device=device) + 0.5) / size


def _inside(boxes: Tensor, image_size: tuple[int, int], size: int) -> Tensor:
    """Return which crop pixels lie in the image, (N, size, size) bool."""
    x, y = _centres(boxes, size)
    height, width = image_size
    return ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
