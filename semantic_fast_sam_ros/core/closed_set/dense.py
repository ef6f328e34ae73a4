"""Dense semantic branch: class probabilities for every pixel, whatever network gives them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.timing import stage
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.exported import ExportedSegmenter
from semantic_fast_sam_ros.core.closed_set.hugging_face import MAXIMUM_SIDE, TransformersSegmenter
from semantic_fast_sam_ros.core.closed_set.logits import Logits
from semantic_fast_sam_ros.core.masks.fastsam import load_ultralytics
from semantic_fast_sam_ros.core.networks import answers
from semantic_fast_sam_ros.core.networks.batching import (
    RunsNetwork,
    class_names,
    run_together,
    turns,
)
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.letterbox import letterbox
from semantic_fast_sam_ros.core.networks.model_files import dense_model
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings.models import DenseSettings

ULTRALYTICS_SIZE = 640  # longer side where the settings name none; its own default


class DenseSegmenter(Protocol):
    """A network that scores every pixel for every class."""

    class_names: tuple[str, ...]
    left_out: str  # one of them that means none of the others, and is not published; else ''

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB on the segmenter's device."""
        ...


@runtime_checkable
class BatchSegmenter(DenseSegmenter, Protocol):
    """One that may take several images at once."""

    takes_batches: bool

    def segment_all(self, images: Sequence[Tensor]) -> list[DenseMap]:
        """Score images (3, H, W) uint8 RGB, in one pass where they fit together."""
        ...


def published_classes(segmenter: DenseSegmenter) -> tuple[str, ...]:
    """Return a segmenter's classes without the one that means none of the others."""
    return tuple(name for name in segmenter.class_names if name != segmenter.left_out)


class UltralyticsSegmenter(RunsNetwork):
    """A checkpoint of ultralytics' semantic task, such as yolo26n-sem.pt."""

    left_out = ''

    def __init__(
        self,
        checkpoint: Path,
        settings: DenseSettings,
        runtime: Runtime,
    ) -> None:
        """Load the checkpoint; raises ModelError if it is not a semantic network."""
        self._size, self._name = settings.image_size, checkpoint.name
        self._dtype = runtime.dtype
        self._network = load_network(
            lambda: _load_semantic(checkpoint, runtime), checkpoint, runtime
        )
        self.class_names = answers.class_names(class_names(self._network))
        self._turn = turns(self._network)

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB on the segmenter's device."""
        return self.segment_all([image])[0]

    def segment_all(self, images: Sequence[Tensor]) -> list[DenseMap]:
        """Score images (3, H, W) uint8 RGB, in one pass where they fit together."""
        with stage('preprocess'):
            fitted = [letterbox(i, self._side(i), self._dtype) for i in images]
        with self._turn, stage('dense_network'):
            found = run_together(self._network, [batch for batch, _ in fitted])
        return [
            DenseMap(self._scores(place.sample(logits, batch.shape[2:])), are_logits=True)
            for (logits,), (batch, place) in zip(found, fitted, strict=True)
        ]

    def _scores(self, found: Tensor) -> Tensor:
        return answers.class_logits(self._name, found[0], len(self.class_names))

    def _side(self, image: Tensor) -> int:
        """Return the longer side that an image is scaled to."""
        longer = round(self._size * max(image.shape[1:]) / min(image.shape[1:]))
        return min(longer, MAXIMUM_SIDE) or ULTRALYTICS_SIZE


def _load_semantic(checkpoint: Path, runtime: Runtime) -> nn.Module:
    network = load_ultralytics(checkpoint, 'semantic')
    network.to(device=runtime.device, dtype=runtime.dtype, memory_format=torch.channels_last)
    return Logits(network, tuple(network.names[i] for i in sorted(network.names)))


def load_dense(settings: DenseSettings, policy: Policy, runtime: Runtime) -> DenseSegmenter:
    """Load the dense branch that the settings name.

    Raises:
        ModelError: the model is missing, damaged or of another kind.
        ConfigError: the settings name other classes than an exported network has.
    """
    model = dense_model(settings)
    kinds: dict[str, Callable[[Path, DenseSettings, Runtime], DenseSegmenter]] = {
        'exported': ExportedSegmenter,
        'checkpoint': UltralyticsSegmenter,
        'transformers': TransformersSegmenter,
    }
    return kinds[model.kind](model.find(policy), settings, runtime)
