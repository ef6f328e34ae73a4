"""What a user would write in an afternoon: the libraries' own calls, and a vote in numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings.models import MaskSettings

Rgb = NDArray[np.uint8]  # (H, W, 3)


class DenseModel:
    """A Hugging Face semantic segmenter by its own processor."""

    def __init__(self, folder: Path, shorter_side: int) -> None:
        """Load a folder; images are scaled to that shorter side, 0: as the processor says."""
        from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation
        from transformers.utils import logging

        logging.disable_progress_bar()
        local: dict[str, Any] = {'local_files_only': True}
        self._processor = AutoImageProcessor.from_pretrained(folder, **local)
        model: Any = AutoModelForSemanticSegmentation
        self._model = model.from_pretrained(folder, dtype=torch.float32, **local).eval()
        self._side = shorter_side

    def __call__(self, image: Rgb) -> NDArray[np.int64]:
        """Return the class index of each pixel, (H, W)."""
        height, width = image.shape[:2]
        gain = self._side / min(height, width)
        sides = [round(side * gain / 32) * 32 for side in (height, width)]
        size = {'size': {'height': sides[0], 'width': sides[1]}} if self._side else {}
        inputs = self._processor(images=image, return_tensors='pt', **size)
        output = self._model(**inputs)
        return self._processor.post_process_semantic_segmentation(
            output, target_sizes=[(height, width)]
        )[0].numpy()


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
