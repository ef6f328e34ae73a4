"""One profile on three photos, in a process of its own: what happens there happens to it alone."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError, first_line
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.loading import policy_of
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.networks.model_files import models_of
from semantic_fast_sam_ros.core.outputs.overlay import overlay
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.evaluation.scores import peak_memory_mb
from semantic_fast_sam_ros.tools.sources import photo_file

# A street with people, people in a room, a table: packages that are needed anyway ship them.
PHOTOS = (
    ('ultralytics', 'assets/bus.jpg'),
    ('ultralytics', 'assets/zidane.jpg'),
    ('skimage', 'data/coffee.png'),
)
KILLED = 'its process was killed, which is what happens where memory runs out'


@dataclass(frozen=True)
class Trial:
    """How a profile did."""

    profile: str
    problem: str = ''  # why it is of no use here; empty: it labels
    device: str = ''
    loaded_s: float = 0.0  # until the first image can come
    image_s: float = 0.0  # mean of the photos
    memory_mb: float = 0.0  # the most that its process, or the GPU, held
    masks: list[int] = field(default_factory=list)  # of each photo
    classes: dict[str, float] = field(default_factory=dict)  # share of all pixels, largest first
    overlays: list[NDArray[np.uint8]] = field(default_factory=list)  # (H, W, 3) RGB each

    def figures(self) -> dict[str, Any]:
        """Return all but the pictures."""
        return {name: value for name, value in vars(self).items() if name != 'overlays'}


def try_profile(name: str, config: Config) -> Trial:
    """Bring the models of a profile, label the photos; what fails is told in the answer."""
    try:
        for model in models_of(config):
            model.find(policy_of(config))
        # A new process, not a copy of this one, whose libraries run threads.
        fresh = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(1, fresh) as pool:
            return pool.submit(_label_photos, name, replace(config, offline=True)).result()
    except BrokenProcessPool:
        return Trial(name, KILLED)
    except Exception as error:
        return Trial(name, _reason(error))


def _label_photos(name: str, config: Config) -> Trial:
    try:
        return _trial(name, config)
    except Exception as error:  # here, as not every error passes from process to process
        return Trial(name, _reason(error))


def _trial(name: str, config: Config) -> Trial:
    started = time.perf_counter()
    pipeline = SemanticFastSam(config)
    pipeline.warm_up()
    loaded = time.perf_counter()
    files = [photo_file(*photo) for photo in PHOTOS]
    images = [read_image(file) for file in files if file.is_file()]
    begun = time.perf_counter()
    results = [pipeline(image) for image in images]
    seconds = time.perf_counter() - begun
    classes = _classes(results)
    return Trial(
        name,
        '' if classes else 'no pixel of the photos got a name',
        str(pipeline.device),
        round(loaded - started, 2),
        round(seconds / len(images), 3),
        round(peak_memory_mb()),
        [len(result.mask_ids) for result in results],
        classes,
        [overlay(i, r, config.output) for i, r in zip(images, results, strict=True)],
    )


def _classes(results: Sequence[SegmentationResult]) -> dict[str, float]:
    """Return the share of all pixels that each class has, largest first."""
    counts: Counter[str] = Counter()
    for result in results:
        ids, pixels = np.unique(result.label_map, return_counts=True)
        names = [result.vocabulary.name_of(int(class_id)) for class_id in ids]
        counts.update({n: int(p) for i, n, p in zip(ids, names, pixels, strict=True) if i})
    total = sum(result.label_map.size for result in results)
    return {name: round(count / total, 4) for name, count in counts.most_common()}


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f'{error.name} is not installed'
    kind = '' if isinstance(error, SemanticFastSamError) else f'{type(error).__name__}: '
    return kind + first_line(error)
