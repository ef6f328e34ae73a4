"""A frame's answers on the host: from a GPU in one copy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.masks.painting import bytes_of, to_host
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals, SegmentationResult
from semantic_fast_sam_ros.core.networks.answers import refuse_unless_finite
from semantic_fast_sam_ros.core.settings.vocabulary import MONO8_IDS, Vocabulary


def result_on_host(
    proposals: MaskProposals,
    labels: MaskLabels,
    drawn: tuple[Tensor, Tensor, Tensor],
    vocabulary: Vocabulary,
    sums: Sequence[tuple[str, Tensor]],
    features: Tensor | None = None,
) -> SegmentationResult:
    """Return a frame's answers as arrays.

    Args:
        proposals: largest first.
        labels: of these.
        drawn: label map, confidence and mask numbers, of `painting.rasterise`.
        vocabulary: that the labels are of.
        sums: of `answers.sums_collected`.
        features: of the masks, (N, dim) float32, where they are wanted.

    Raises:
        NetworkError: as `answers.require_finite`.
    """
    label_map, confidence, instances = drawn
    label_type = np.uint8 if vocabulary.max_id <= MONO8_IDS else np.uint16
    rows = [proposals.boxes, proposals.scores, labels.class_ids, labels.scores.float()]
    rows += [] if features is None else [features]
    if jit.suits(label_map.device):
        host = [tensor.numpy() for tensor in (instances, *rows)]
        shown = to_host(label_map, confidence, label_type)
    else:
        pictures = bytes_of(label_map, confidence, label_type)
        host, count = download_frame([instances, *rows, *pictures], proposals.real, sums)
        *host, small, levels = host
        shown = small.astype(label_type, copy=False), levels
        host[1:] = [each[:count] for each in host[1:]]
    numbers, boxes, mask_scores, class_ids, class_scores, *vectors = host
    return SegmentationResult(
        label_map=shown[0],
        confidence=shown[1],
        instances=numbers.view(np.uint16),
        mask_ids=np.arange(1, len(boxes) + 1, dtype=np.uint16),
        boxes=boxes,
        mask_scores=mask_scores,
        class_ids=class_ids,
        class_scores=class_scores,
        vocabulary=vocabulary,
        features=vectors[0] if vectors else None,
    )


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
