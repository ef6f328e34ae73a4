"""A pipeline that labels by brightness in no time, and the settings that go with it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.outcome import Outcome
from semantic_fast_sam_ros.bags.run import label_recording
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings import vocabulary
from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.core.video.adapting import CameraAdaptation

NAMES = ('dark', 'grey', 'bright')


class Brightness:
    """Classes by the red channel; two masks, the halves of the image."""

    vocabulary = vocabulary.from_names(NAMES)

    def __init__(self, hear: Callable[[int], None] = lambda count: None) -> None:
        """Remember what to call for each frame."""
        self.count = 0
        self._hear = hear

    def __call__(self, image: NDArray[np.uint8]) -> SegmentationResult:
        """Label an image."""
        self.count += 1
        self._hear(self.count)
        height, width = image.shape[:2]
        labels = (image[..., 0] // 86 + 1).astype(np.uint8)
        instances = np.ones((height, width), np.uint16)
        instances[:, width // 2 :] = 2
        boxes = [[0, 0, width // 2, height], [width // 2, 0, width, height]]
        return SegmentationResult(
            label_map=labels,
            confidence=np.maximum(1, image[..., 1]),
            instances=instances,
            mask_ids=np.array([1, 2], np.uint16),
            boxes=np.array(boxes, np.float32),
            mask_scores=np.array([0.9, 0.8], np.float32),
            class_ids=np.array([[1, 2], [3, 0]]),
            class_scores=np.array([[0.75, 0.25], [0.5, 0.0]], np.float32),
            vocabulary=self.vocabulary,
            stage_ms={'masks': 1.0},
        )


class Finder(Brightness):
    """Finds a new name in every image, up to twelve."""

    def __init__(self, hear: Callable[[int], None] = lambda count: None) -> None:
        """Begin with NAMES."""
        super().__init__(hear)
        self.vocabulary = vocabulary.from_names(NAMES)

    def __call__(self, image: NDArray[np.uint8]) -> SegmentationResult:
        """Label an image."""
        names = self.vocabulary.names
        if len(names) < 12:
            self.vocabulary = vocabulary.from_names([*names, f'thing {len(names) + 1}'])
        return super().__call__(image)

    def remember(self, names: Mapping[int, str]) -> None:
        """Take in what an earlier run found."""
        self.vocabulary = vocabulary.from_names([names[i] for i in sorted(names)])


class Learner(Brightness):
    """Labels everything by how many images its camera has learned of."""

    def __call__(
        self, image: NDArray[np.uint8], adaptation: CameraAdaptation
    ) -> SegmentationResult:
        """Label an image."""
        before: Any = adaptation.state
        count: Any = (before or 0) + 1
        adaptation.advance(before, count)
        result = super().__call__(image)
        return replace(result, label_map=np.full_like(result.label_map, count % 3 + 1))


def settings(folder: Path, **values: object) -> Config:
    """Return settings whose one model is a small file."""
    model = folder / 'model.pt'
    if not model.exists():
        model.write_bytes(b'weights')
    dotted = {key.replace('__', '.'): value for key, value in values.items()}
    fixed = {'masks.model': str(model), 'labeller': 'none', 'trust_model_files': True}
    return from_values({**fixed, **dotted})


def label(
    source: Path,
    folder: Path,
    job: Job | None = None,
    config: Config | None = None,
    pipeline: Any = None,
    stop: threading.Event | None = None,
    resume: bool = False,
) -> Outcome:
    """Label a recording with the fake pipeline."""
    return label_recording(
        source,
        folder,
        config or settings(folder.parent),
        job or Job(),
        lambda config: pipeline or Brightness(),
        stop or threading.Event(),
        resume,
        progress=False,
    )
