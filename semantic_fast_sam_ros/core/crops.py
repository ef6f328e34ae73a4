"""Crops of all masks in one batch on the image's device, neighbours blurred or painted over."""

import torch
import torch.nn.functional as functional
from torch import Tensor
from torchvision.ops import roi_align

FILLS = ('blur', 'mean', 'none')
BLUR_SHARE = 6  # the blur's window is this part of the crop's side
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


def cut(image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut and resize boxes out of an image, averaging where they shrink.

    Args:
        image: (3, H, W) uint8 RGB.
        boxes: (N, 4) pixels, half-open; grey where they leave the image.
        size: side of the crops, pixels.

    Returns:
        (N, 3, size, size) float32, 0-255.
    """
    pixels = image[None].float() - GREY  # so that roi_align's zero padding means grey
    index = boxes.new_zeros((len(boxes), 1))
    inside = _inside(boxes, image.shape[1:], size)
    crops: Tensor = roi_align(
        pixels, torch.cat([index, boxes], 1), size, sampling_ratio=-1, aligned=True
    )
    return crops * inside[:, None] + GREY


def cut_masks(masks: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut mask i by box i, each pixel taking the nearest value; False outside the image.

    Plain indexing: a float copy of 300 masks of a large image would not fit in memory.

    Args:
        masks: (N, H, W) bool.
        boxes: (N, 4) pixels, half-open.
        size: side of the crops, pixels.

    Returns:
        (N, size, size) bool.
    """
    height, width = masks.shape[1:]
    x, y = _centres(boxes, size)
    index = torch.arange(len(masks), device=masks.device)[:, None, None]
    columns = x.floor().long().clamp(0, width - 1)[:, None, :]
    rows = y.floor().long().clamp(0, height - 1)[:, :, None]
    return masks[index, rows, columns] & _inside(boxes, masks.shape[1:], size)


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
    hidden = box_blur(box_blur(crops)) if fill == 'blur' else mean[:, None, None].expand_as(crops)
    return torch.where(inside[:, None], crops, hidden)


def mask_crops(
    image: Tensor, masks: Tensor, boxes: Tensor, size: int, scale: float, fill: str, mean: Tensor
) -> Tensor:
    """Return one crop a mask, (N, 3, size, size) float32 0-255, with its neighbours hidden.

    Args:
        image: (3, H, W) uint8 RGB.
        masks: (N, H, W) bool.
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
    """Average (N, 3, S, S) over a square window of a sixth of the side, first down, then across."""
    window = max(3, crops.shape[-1] // BLUR_SHARE) | 1
    for kernel in ((window, 1), (1, window)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        crops = functional.avg_pool2d(crops, kernel, 1, padding, count_include_pad=False)
    return crops


def _centres(boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the x and y of the crops' pixel centres in the image, (N, size) each."""
    steps = (torch.arange(size, device=boxes.device) + 0.5) / size
    extent = boxes[:, 2:] - boxes[:, :2]
    points = boxes[:, :2, None] + steps * extent[:, :, None]
    return points[:, 0], points[:, 1]


def _inside(boxes: Tensor, image_size: torch.Size, size: int) -> Tensor:
    """Return which crop pixels lie in the image, (N, size, size) bool."""
    x, y = _centres(boxes, size)
    height, width = image_size
    return ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
