"""All of a frame's answers in one copy from the device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core.networks.answers import refuse_unless_finite


def download(tensors: Sequence[Tensor]) -> list[NDArray[Any]]:
    """Return tensors of any types and shapes as arrays, after one wait for the device."""
    # By falling size of an element, so that each begins where its type may begin.
    order = sorted(range(len(tensors)), key=lambda i: -tensors[i].element_size())
    packed = torch.cat([tensors[i].reshape(-1).view(torch.uint8) for i in order])
    content = packed.cpu().numpy()
    found: dict[int, NDArray[Any]] = {}
    start = 0
    for i in order:
        length = tensors[i].numel() * tensors[i].element_size()
        values = content[start : start + length].view(_numpy_type(tensors[i].dtype))
        found[i] = values.reshape(tuple(tensors[i].shape))
        start += length
    return [found[i] for i in range(len(tensors))]


def download_frame(
    tensors: Sequence[Tensor], real: Tensor | None, sums: Sequence[tuple[str, Tensor]]
) -> tuple[list[NDArray[Any]], int | None]:
    """Download a frame, and refuse it where a network answered with numbers that are none.

    Args:
        tensors: the frame's answers.
        real: (N,) bool: how many of the masks count; None: all of them.
        sums: of `answers.sums_collected`.

    Returns:
        the tensors as arrays, and how many masks count; None: all of them.

    Raises:
        NetworkError: as `answers.require_finite`.
    """
    extra = [total for _, total in sums] + ([] if real is None else [real])
    host = download([*tensors, *extra])
    for (who, _), total in zip(sums, host[len(tensors) :], strict=False):
        refuse_unless_finite(who, float(total))
    return host[: len(tensors)], None if real is None else int(host[-1].sum())


def _numpy_type(kind: torch.dtype) -> np.dtype[Any]:
    return np.dtype(str(kind).removeprefix('torch.'))
