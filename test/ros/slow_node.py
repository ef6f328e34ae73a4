"""The real node around a pipeline that takes a known time: run as a process of its own.

`clip.batch`, which nothing else uses here, is the milliseconds an image takes at the default
masks.image_size; fewer pixels take proportionally less, carried labels half.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.models import MaskSettings
from semantic_fast_sam_ros.core.settings.vocabulary import VocabularyHistory, from_names
from semantic_fast_sam_ros.ros import budget, process
from semantic_fast_sam_ros.ros import node as node_module

FULL_SIZE = MaskSettings().image_size


class SlowPipeline:
    """Labels every pixel with the first class, after the time that the settings say."""

    device = torch.device('cpu')
    vocabulary = from_names(['road', 'car'])
    open_vocabulary = False
    takes_batches = False
    encoder = None
    notice = ''

    def __init__(self, config: Config, history: VocabularyHistory) -> None:
        self.config = config

    def warm_up(self) -> None:
        """Nothing is lazy here."""

    def update(self, config: Config) -> None:
        """Take new settings over."""
        self.config = config

    def __call__(
        self,
        image: NDArray[np.uint8],
        earlier: SegmentationResult | None = None,
        outputs: object = None,
        before: SegmentationResult | None = None,
    ) -> SegmentationResult:
        """Sleep, then label; the confidence is the share of the full image size, percent."""
        share = self.config.masks.image_size / FULL_SIZE
        time.sleep(self.config.clip.batch / 1000 * share * (0.5 if earlier else 1))
        height, width = image.shape[:2]
        return SegmentationResult(
            label_map=np.ones((height, width), np.uint8),
            confidence=np.full((height, width), round(100 * share), np.uint8),
            instances=np.zeros((height, width), np.uint16),
            mask_ids=np.zeros(0, np.uint16),
            boxes=np.zeros((0, 4), np.float32),
            mask_scores=np.zeros(0, np.float32),
            class_ids=np.zeros((0, 1), np.int64),
            class_scores=np.zeros((0, 1), np.float32),
            vocabulary=self.vocabulary,
        )


if __name__ == '__main__':
    node_module.SemanticFastSam = SlowPipeline  # type: ignore[assignment, misc]
    budget.WINDOW_FRAMES, budget.WINDOW_S = 4, 0.2
    process.main()
