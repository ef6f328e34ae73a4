"""What a user would write in an afternoon: ultralytics' own calls, and a vote in numpy."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings.models import MaskSettings

Rgb = NDArray[np.uint8]  # (H, W, 3)


class DenseModel:
    """ultralytics' semantic network by its own call."""

    def __init__(self, checkpoint: Path, shorter_side: int) -> None:
        """Load a checkpoint; images are scaled to that shorter side."""
        from ultralytics import YOLO

        self._model, self._side = YOLO(str(checkpoint)), shorter_side

    def __call__(self, image: Rgb) -> NDArray[np.int64]:
        """Return the class index of each pixel, (H, W)."""
        longer = round(self._side * max(image.shape[:2]) / min(image.shape[:2]))
        bgr = np.ascontiguousarray(image[..., ::-1])
        found = self._model(bgr, imgsz=longer, verbose=False, device='cpu')[0]
        return found.semantic_mask.data.numpy().astype(np.int64)


class FastSamCall:
    """ultralytics' FastSAM by its own call."""

    def __init__(self, checkpoint: Path, settings: MaskSettings) -> None:
        """Load a checkpoint."""
        from ultralytics import FastSAM

        self._model = FastSAM(str(checkpoint))
        self.options = {
            'imgsz': settings.image_size,
            'conf': settings.confidence,
            'iou': settings.iou,
            'max_det': settings.max_masks,
            'retina_masks': True,
            'verbose': False,
            'device': 'cpu',
        }

    def __call__(self, image: Rgb) -> torch.Tensor:
        """Return the masks of an RGB image, (N, H, W) bool."""
        found = self._model(np.ascontiguousarray(image[..., ::-1]), **self.options)[0].masks
        return torch.zeros((0, *image.shape[:2])).bool() if found is None else found.data.bool()


def vote(masks: NDArray[np.bool_], dense: NDArray[np.int64]) -> NDArray[np.int64]:
    """Paint each mask (N, H, W) with its most frequent dense label, largest mask first."""
    painted = dense.copy()
    for mask in sorted(masks, key=lambda m: int(m.sum()), reverse=True):
        if mask.any():
            painted[mask] = np.bincount(dense[mask]).argmax()
    return painted
