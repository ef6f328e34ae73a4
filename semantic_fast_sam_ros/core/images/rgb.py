"""Images as the pipeline takes them in."""

from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import FrameError


def require_rgb(image: NDArray[np.uint8]) -> None:
    """Refuse what is no RGB image.

    Raises:
        FrameError: the array is not (H, W, 3) uint8 with pixels.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise FrameError(f'expected an RGB image (H, W, 3) uint8, got {image.shape} {image.dtype}')


def as_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Return the image as a tensor that shares its memory where it can; not to be written to."""
    image = np.ascontiguousarray(image)
    if not image.flags.writeable:  # torch knows no such tensors, and warns
        memory = {**image.__array_interface__, 'data': (image.ctypes.data, False)}
        image = np.asarray(SimpleNamespace(__array_interface__=memory, owner=image))
    return torch.from_numpy(image)


def upload(image: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return an image (H, W, 3) as the pipeline hands it on: (3, H, W) uint8 on a device."""
    return as_tensor(image).to(device).permute(2, 0, 1)
