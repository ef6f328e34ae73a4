"""Ultralytics' loss of YOLOv8-seg, silent where a data set does not say what is there."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from ultralytics.utils.loss import v8SegmentationLoss

MASK_SAMPLES = 160  # anchors of an image whose masks are compared in one step


class RegionLoss(v8SegmentationLoss):
    """Score, box and mask of each region; no 'nothing here' where nobody looked."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model)
        self.bce = self._known_bce
        self._known = torch.ones(1)  # (B, anchors, 1)

    def loss(self, preds: dict[str, Any], batch: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Return the parts of the loss, times the batch's size; `batch['labelled']` (B, h, w)."""
        labelled = batch['labelled'][:, None]
        shares = [functional.adaptive_avg_pool2d(labelled, f.shape[2:]) for f in preds['feats']]
        self._known = torch.cat([s.flatten(1) for s in shares], 1)[..., None]
        return super().loss(preds, batch)

    def _known_bce(self, scores: Tensor, targets: Tensor) -> Tensor:
        weight = torch.maximum(self._known, (targets > 0).to(scores.dtype))
        return functional.binary_cross_entropy_with_logits(
            scores, targets, weight, reduction='none'
        )

    @staticmethod
    def single_mask_loss(
        gt_mask: Tensor, pred: Tensor, proto: Tensor, xyxy: Tensor, area: Tensor
    ) -> Tensor:
        """Compare the masks of a random part of an image's anchors, which stands for all."""
        count = len(pred)
        if count > MASK_SAMPLES:
            part = torch.randperm(count)[:MASK_SAMPLES]
            gt_mask, pred, xyxy, area = gt_mask[part], pred[part], xyxy[part], area[part]
        loss = v8SegmentationLoss.single_mask_loss(gt_mask, pred, proto, xyxy, area)
        return loss * (count / len(pred))
