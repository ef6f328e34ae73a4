"""Non-maximum suppression: of boxes that overlap, the surest one stays."""

import cv2
import numpy as np
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base import jit

BOX = 4
OUTSIDE = -1e5  # pixels
ALMOST_ONE = 0.999999  # two boxes in one place overlap by more
CANDIDATES = 4096  # that are compared on a GPU, the surest ones


def suppress(predicted: Tensor, confidence: float, iou: float, limit: int) -> Tensor:
    """Return what a one-class YOLO network found, best first, without repetitions.

    As ultralytics' `non_max_suppression`, without torchvision, whose import takes seconds and
    165 MB, where boxes are on the CPU.

    Args:
        predicted: (5 + K, anchors) float32: x y of the centre, width, height, score, and K more.
        confidence: lower scores are left out.
        iou: boxes that overlap a better one by more are left out.
        limit: so many at most.

    Returns:
        (N, 5 + K): x1 y1 x2 y2, score, and the K more.
    """
    if not jit.suits(predicted.device):
        return _suppress_on_gpu(predicted, confidence, iou, limit)
    found = predicted[:, predicted[BOX] > confidence].T
    half = found[:, 2:BOX] / 2
    found[:, :BOX] = torch.cat([found[:, :2] - half, found[:, :2] + half], 1)
    return found[_surest(found[:, :BOX], found[:, BOX], iou)[:limit]]


def _surest(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    sized = np.hstack([boxes[:, :2].numpy(), (boxes[:, 2:] - boxes[:, :2]).numpy()])
    order = cv2.dnn.NMSBoxes(sized, scores.numpy(), 0.0, iou)  # type: ignore[arg-type]
    return torch.from_numpy(np.array(order, np.int64))


def _suppress_on_gpu(predicted: Tensor, confidence: float, iou: float, limit: int) -> Tensor:
    """Suppress with one wait: for how many are left.

    Candidates are always as many. Those that are not sure enough lie in one place outside of the
    image: the first of them suppresses the others, and falls away as the last that is left.
    """
    from torchvision.ops import nms

    scores, index = predicted[BOX].topk(min(CANDIDATES, predicted.shape[1]))
    found = predicted.index_select(1, index).T
    half = found[:, 2:BOX] / 2
    corners = torch.cat([found[:, :2] - half, found[:, :2] + half], 1)
    corners.nan_to_num_(0.0, 0.0, 0.0)  # frames with such numbers are refused, later
    outside = torch.full_like(corners[:1], OUTSIDE)
    outside[:, 2:] += 1
    # One more, so that there is one even where all are sure enough.
    boxes = torch.cat([torch.where(scores[:, None] > confidence, corners, outside), outside])
    ranks = torch.cat([scores, scores.new_full((1,), -1.0)])
    kept = nms(boxes, ranks, min(iou, ALMOST_ONE))[:-1][:limit]
    return torch.cat([corners, found[:, BOX:]], 1)[kept]
