"""Mask branch: FastSAM (Zhao et al., arXiv 2306.12156), a YOLOv8-seg network with one class."""

from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core import weights
from semantic_fast_sam_ros.core.config import MaskSettings
from semantic_fast_sam_ros.core.errors import ModelError
from semantic_fast_sam_ros.core.letterbox import Letterbox, letterbox
from semantic_fast_sam_ros.core.timing import stage
from semantic_fast_sam_ros.core.types import MaskProposals

BOX_AND_SCORE = 6  # x1 y1 x2 y2 score class; the mask coefficients follow


class FastSamGenerator:
    """Propose class-agnostic masks with a FastSAM checkpoint loaded through ultralytics."""

    def __init__(
        self, checkpoint: Path, settings: MaskSettings, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Load the checkpoint; raises ModelError if it is not a one-class segmentation network."""
        self.settings = settings
        self._device = device
        self._dtype = dtype
        self._network = load_ultralytics(checkpoint, 'segment').to(device=device, dtype=dtype)
        if len(self._network.names) != 1:
            names = ', '.join(str(name) for name in list(self._network.names.values())[:5])
            raise ModelError(f'{checkpoint} tells classes apart ({names}, ...): no FastSAM')
        self._network.to(memory_format=torch.channels_last)

    def generate(self, image: Tensor) -> MaskProposals:
        """Propose masks, best score first, for an image (3, H, W) uint8 RGB on the device."""
        with stage('preprocess'):
            batch, place = letterbox(image, self.settings.image_size, self._dtype)
        detections, prototypes = self._detect(batch)
        return self._cut_out(detections, prototypes, batch, place, image)

    def _detect(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        from ultralytics.utils.nms import non_max_suppression

        with stage('mask_network'):
            predicted, prototypes = self._network(batch)[0]
        kept = non_max_suppression(
            predicted.float(),
            self.settings.confidence,
            self.settings.iou,
            nc=1,
            max_det=self.settings.max_masks,
        )
        return kept[0], prototypes[0].float()

    def _cut_out(
        self, found: Tensor, prototypes: Tensor, batch: Tensor, place: Letterbox, image: Tensor
    ) -> MaskProposals:
        """Make masks of image size from prototypes (Bolya et al., YOLACT, section 3.1).

        Unlike ultralytics' FastSAM call, boxes near the border are not snapped to the full frame.
        """
        from ultralytics.utils import ops as untyped_ops

        ops: Any = untyped_ops
        size = (int(image.shape[1]), int(image.shape[2]))
        scores, coefficients = found[:, 4], found[:, BOX_AND_SCORE:]
        padded = cast(tuple[int, int], tuple(batch.shape[2:]))
        boxes = ops.scale_boxes(padded, found[:, :4].clone(), size)
        if self.settings.retina_masks:
            masks = ops.process_mask_native(prototypes, coefficients, boxes, size)
        else:
            masks = ops.process_mask(prototypes, coefficients, found[:, :4], padded, upsample=True)
            masks = place.crop(masks)[None].float()
            masks = (
                functional.interpolate(masks, size, mode='nearest')[0]
                if len(found)
                else (masks.new_zeros((0, *size)))
            )
        masks = masks.bool()
        filled = masks.flatten(1).any(1)
        return MaskProposals(masks[filled], boxes[filled].float(), scores[filled].float())


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
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f'{checkpoint} is not a readable ultralytics checkpoint: {reason}'
        ) from error
    if getattr(network, 'task', None) != task:
        found = getattr(network, 'task', type(network).__name__)
        raise ModelError(f'{checkpoint} is a network for the task {found!r}, not {task!r}')
    network = network.float().fuse(verbose=False).eval()
    return network.requires_grad_(False)
