"""Mask branch: FastSAM (Zhao et al., arXiv 2306.12156), a YOLOv8-seg network with one class.

Other segmenting YOLOs propose masks likewise: their classes count as one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ModelError, first_line
from semantic_fast_sam_ros.core.base.timing import stage
from semantic_fast_sam_ros.core.masks.exported import ExportedMaskNetwork
from semantic_fast_sam_ros.core.masks.merging import one_class, picked
from semantic_fast_sam_ros.core.masks.prototypes import PrototypeMasks
from semantic_fast_sam_ros.core.masks.suppression import suppress
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.answers import require_finite
from semantic_fast_sam_ros.core.networks.batching import (
    Network,
    RunsNetwork,
    class_names,
    run_together,
    turns,
)
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.letterbox import Letterbox, letterbox
from semantic_fast_sam_ros.core.networks.model_files import is_exported
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.settings.models import MaskSettings

BOX_AND_SCORE = 5  # x1 y1 x2 y2 score; the mask coefficients follow
PRIOR = 'prior'  # of the setting masks.names


@dataclass(frozen=True)
class Detections:
    """What the network said of one image."""

    predicted: Tensor  # (1, 5 + K, anchors): boxes in the batch's pixels, scores, coefficients
    prototypes: Tensor  # (1, K, h, w)
    batch: Tensor  # (1, 3, h, w), what it was given
    place: Letterbox  # of the image in the batch
    classes: Tensor | None = None  # (1, 1, anchors), where the network tells several apart


class FastSamGenerator(RunsNetwork):
    """Propose class-agnostic masks with a FastSAM, or another segmenting YOLO."""

    def __init__(
        self,
        checkpoint: Path,
        settings: MaskSettings,
        runtime: Runtime,
    ) -> None:
        """Load a checkpoint or an exported file; raises ModelError if it proposes no masks."""
        self.settings = settings
        self._dtype = runtime.dtype
        self._fixed: tuple[int, int] | None = None
        self._network: Network
        if is_exported(checkpoint):
            self._network = exported = ExportedMaskNetwork(checkpoint, runtime)
            self._fixed = exported.image_size
        else:
            self._network = load_network(lambda: _load(checkpoint, runtime), checkpoint, runtime)
        self._turn = turns(self._network)
        self.class_names = class_names(self._network)
        if settings.names == PRIOR and len(self.class_names) < 2:
            raise ModelError(
                f'{checkpoint} names no classes apart, which masks.names: {PRIOR} is for: take a '
                'YOLO-seg that does, or leave it at ignore'
            )

    def generate(self, image: Tensor, empty_too: bool = False) -> MaskProposals:
        """Propose masks, best score first, for an image (3, H, W) uint8 RGB on the device."""
        return self.propose(image, self.detect([image])[0], empty_too)

    def propose(self, image: Tensor, found: Detections, empty_too: bool = False) -> MaskProposals:
        """Propose masks, best score first, for an image and what `detect` found in it.

        Args:
            image: (3, H, W) uint8 RGB on the device.
            found: in it.
            empty_too: keep masks without a pixel: on a GPU it takes a wait to leave them out.
        """
        settings = self.settings
        require_finite('the mask network', found.predicted, found.prototypes)
        predicted = found.predicted
        if settings.names == PRIOR and found.classes is not None:
            predicted = torch.cat([predicted, found.classes], 1)
        kept = suppress(
            predicted[0].float(), settings.confidence, settings.iou, settings.max_masks
        )
        prototypes = found.prototypes[0].float()
        return self._shape(kept, prototypes, found.batch, found.place, image, empty_too)

    def detect(self, images: Sequence[Tensor]) -> list[Detections]:
        """Run the network on images (3, H, W) uint8 RGB, in one pass where they fit together."""
        with stage('preprocess'):
            size = self._fixed or self.settings.image_size
            fitted = [letterbox(i, size, self._dtype) for i in images]
        with self._turn, stage('mask_network'):
            found = run_together(self._network, [batch for batch, _ in fitted])
        return [
            Detections(predicted, prototypes, *fit, *classes)
            for (predicted, prototypes, *classes), fit in zip(found, fitted, strict=True)
        ]

    def _shape(
        self,
        found: Tensor,
        prototypes: Tensor,
        batch: Tensor,
        place: Letterbox,
        image: Tensor,
        empty_too: bool,
    ) -> MaskProposals:
        """Make proposals of detections in the batch's pixels, (N, 5 + K), or a class behind them.

        Unlike ultralytics' FastSAM call, boxes near the border are not snapped to the full frame.
        """
        size = (int(image.shape[1]), int(image.shape[2]))
        rows, columns = place.axes(size, tuple(batch.shape[2:]), tuple(prototypes.shape[1:]))
        boxes = place.to_image(found[:, :4], size)
        coefficients, classes = found[:, BOX_AND_SCORE:].tensor_split([len(prototypes)], 1)
        masks = PrototypeMasks(
            prototypes, coefficients, boxes, rows, columns, self.settings.retina_masks
        )
        named = classes[:, 0].long() if classes.shape[1] else None
        proposals = MaskProposals(masks, boxes, found[:, 4], classes=named)
        if empty_too:
            return proposals
        filled = masks.filled()
        return proposals if bool(filled.all()) else proposals.take(filled)


class _Outputs(nn.Module):
    """The network with what counts at inference as its only outputs."""

    takes_batches = True

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.end_to_end = bool(getattr(network, 'end2end', False))  # YOLO26: needs no suppression
        names: Any = network.names
        self.class_names = tuple(str(names[index]) for index in sorted(names))

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Return detections (N, 5 + K, anchors), prototypes (N, K, h, w), perhaps classes."""
        predicted, prototypes = self.network(batch)[0]
        if self.end_to_end:
            merged, *classes = picked(predicted)
        else:
            merged, *classes = one_class(predicted, prototypes.shape[1])
        return merged, prototypes, *classes


def _load(checkpoint: Path, runtime: Runtime) -> nn.Module:
    network = load_ultralytics(checkpoint, 'segment')
    if hasattr(network.model[-1], 'get_tpe'):
        raise ModelError(
            f'{checkpoint} is a YOLOE, which finds what it is told to: name it in yoloe.model, too'
        )
    network.to(device=runtime.device, dtype=runtime.dtype)
    return _Outputs(network.to(memory_format=torch.channels_last))


def load_ultralytics(checkpoint: Path, task: str) -> Any:
    """Load an ultralytics network for inference, fused, without running code from the file.

    Raises:
        ModelError: the file is damaged, is refused, or is a network for another task.
    """
    weights.silence_libraries()
    from ultralytics.nn import tasks as untyped_tasks

    tasks: Any = untyped_tasks
    tasks.SAFE_LOAD = True  # the environment variable comes too late where ultralytics is imported
    try:
        network, _ = tasks.load_checkpoint(str(checkpoint), device=torch.device('cpu'))
    except Exception as error:
        raise ModelError(
            f'{checkpoint} is not a readable ultralytics checkpoint: {_reason(error)}'
        ) from error
    if getattr(network, 'task', None) != task:
        found = getattr(network, 'task', type(network).__name__)
        raise ModelError(f'{checkpoint} is a network for the task {found!r}, not {task!r}')
    network = network.float().fuse(verbose=False).eval()
    return network.requires_grad_(False)


def _reason(error: Exception) -> str:
    """Say why ultralytics refused a checkpoint."""
    if foreign := re.search(r'GLOBAL (\S+)', str(error.__cause__)):
        return (
            f'it holds a {foreign[1]}, and only networks of ultralytics and torch are loaded '
            '(of a wrapped one, save its `.module`)'
        )
    if isinstance(error, TypeError) and error.__cause__ is None:
        return 'it holds weights without the network that they are of: save the network itself'
    return first_line(error)
