"""YOLOE-seg (ultralytics): a network that finds the instances of what it is asked for by text."""

import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.fastsam import load_ultralytics
from semantic_fast_sam_ros.core.networks.answers import require_finite
from semantic_fast_sam_ros.core.networks.letterbox import Letterbox, letterbox
from semantic_fast_sam_ros.core.settings.models import YoloeSettings

CLASS = 5  # its column, behind x1 y1 x2 y2 score; the mask coefficients follow
TEXT_BATCH = 80  # texts encoded at once
VOTE_STRIDE = 4  # the votes' grid is so much coarser than what the network is given


class YoloeText:
    """The text encoder that a YOLOE was trained with: MobileCLIP as TorchScript."""

    def __init__(self, file: Path, device: torch.device) -> None:
        """Load the file; raises ModelError if it is no TorchScript."""
        try:
            load: Any = torch.jit.load  # it has no types
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', FutureWarning)  # deprecated, and what there is
                self._encoder = load(str(file), map_location=device).eval()
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise ModelError(f'{file} is not a readable TorchScript file: {reason}') from error
        self._device = device

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return a vector a text, (T, dim) float32."""
        from open_clip.tokenizer import tokenize  # CLIP's, which MobileCLIP takes, too

        tokens = tokenize(list(texts)).int().to(self._device)
        return torch.cat([self._encoder(part).float() for part in tokens.split(TEXT_BATCH)])


@dataclass(frozen=True)
class Instances:
    """What the network found in an image."""

    found: Tensor  # (I, 6 + coefficients) float32: x1 y1 x2 y2 score class ..., in batch pixels
    prototypes: Tensor  # (coefficients, h, w) float32
    batch: Tensor  # (1, 3, H, W), what the network was given
    place: Letterbox  # of the image in it
    padded: tuple[int, int]  # H, W

    @property
    def scores(self) -> Tensor:
        """The instances' scores, (I,) in [0, 1]."""
        return self.found[:, 4]

    @property
    def classes(self) -> Tensor:
        """The instances' rows of what was asked for, (I,) int64."""
        return self.found[:, CLASS].long()

    def masks(self) -> Tensor:
        """Return masks over the image without its padding, (I, h, w) bool, on a coarse grid."""
        from ultralytics.utils import ops as untyped_ops

        ops: Any = untyped_ops
        coefficients, boxes = self.found[:, CLASS + 1 :], self.found[:, :4]
        masks = ops.process_mask(self.prototypes, coefficients, boxes, self.padded).bool()
        rows = self._cells(self.place.top, self.place.height, 0)
        columns = self._cells(self.place.left, self.place.width, 1)
        return cast(Tensor, masks[:, rows.to(masks.device)][:, :, columns.to(masks.device)])

    def _cells(self, start: int, length: int, axis: int) -> Tensor:
        """Return the prototypes' cells under evenly spread points of a side of the image."""
        points = start + spread(max(1, length // VOTE_STRIDE), length)
        return points * self.prototypes.shape[axis + 1] // self.padded[axis]


class YoloeNetwork:
    """A text-prompted YOLOE-seg network."""

    def __init__(
        self,
        checkpoint: Path,
        text: YoloeText,
        settings: YoloeSettings,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Load the checkpoint; raises ModelError if it cannot be asked by text."""
        self.settings = settings
        self._text, self._dtype = text, dtype
        self._network = load_ultralytics(checkpoint, 'segment').to(device=device, dtype=dtype)
        self._head = self._network.model[-1]
        if not hasattr(self._head, 'get_tpe'):
            raise ModelError(f'{checkpoint} is no YOLOE: its classes are fixed')
        if hasattr(self._head, 'lrpc') or self._head.is_fused:
            raise ModelError(
                f'{checkpoint} is a YOLOE whose names are fixed: take the checkpoint for text '
                'prompts (without `-pf`, not exported)'
            )
        self._head.agnostic_nms = True  # one name an instance
        self._network.to(memory_format=torch.channels_last)
        self._last: tuple[tuple[object, ...], Instances] | None = None

    @torch.inference_mode()
    def encode(self, names: Sequence[str]) -> Tensor:
        """Return the vector, (dim,), of a class by its names, as the network takes it.

        Raises:
            ModelError: the text encoder is not the one that the network was trained with.
        """
        vectors = self._text.encode(names)  # bare names, as in training
        if vectors.shape[1] != self._head.embed:
            raise ModelError(
                f'yoloe.text_model gives {vectors.shape[1]} values a text, and yoloe.model takes '
                f'{self._head.embed}'
            )
        mean = functional.normalize(vectors.mean(0), dim=0).to(self._dtype)
        tuned: Tensor = self._head.get_tpe(mean[None, None])
        return tuned[0, 0]

    def detect(self, image: Tensor, classes: Tensor) -> Instances:
        """Find the instances of classes (C, dim) in an image (3, H, W) uint8 RGB.

        Asked again for the same image and classes, it does not run the network again.
        """
        asked = (image, classes, self.settings)
        if self._last is not None and all(map(operator.is_, self._last[0], asked)):
            return self._last[1]
        from ultralytics.utils.nms import non_max_suppression

        batch, place = letterbox(image, self.settings.image_size, self._dtype)
        # As `vpe`, vectors are taken as they are; as `tpe` they would be tuned once more.
        (predicted, prototypes), _ = self._network.predict(batch, vpe=classes[None])
        require_finite('YOLOE', predicted, prototypes)
        kept = non_max_suppression(
            predicted.float(),
            self.settings.confidence,
            self.settings.iou,
            agnostic=True,
            nc=len(classes),
            max_det=self.settings.max_instances,
            end2end=self._head.end2end,
        )
        size = cast(tuple[int, int], tuple(batch.shape[2:]))
        found = Instances(kept[0], prototypes[0].float(), batch, place, size)
        self._last = (asked, found)
        return found


def spread(count: int, cells: int) -> Tensor:
    """Return the cells, of so many on a side, under evenly spread points, (count,) int64."""
    return ((torch.arange(count) + 0.5) * cells / count).long()
