"""Non-maximum suppression: of boxes that overlap, the surest one stays."""

import cv2
import numpy as np
import torch
from torch import Tensor

BOX = 4


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
    found = predicted[:, predicted[BOX] > confidence].T
    half = found[:, 2:BOX] / 2
    found[:, :BOX] = torch.cat([found[:, :2] - half, found[:, :2] + half], 1)
    return found[_surest(found[:, :BOX], found[:, BOX], iou)[:limit]]


def _surest(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    if boxes.device.type != 'cpu':
        from torchvision.ops import nms

        kept: Tensor = nms(boxes, scores, iou)
        return kept
    sized = np.hstack([boxes[:, :2].numpy(), (boxes[:, 2:] - boxes[:, :2]).numpy()])
    order = cv2.dnn.NMSBoxes(sized, scores.numpy(), 0.0, iou)  # type: ignore[arg-type]
    return torch.from_numpy(np.array(order, np.int64))
