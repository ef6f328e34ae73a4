"""Mask networks that come as a file: FastSAM's or YOLO-seg's ONNX, OpenVINO or TFLite."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.merging import BOX, one_class, picked
from semantic_fast_sam_ros.core.networks.exported import noted_classes, open_exported
from semantic_fast_sam_ros.core.networks.image_input import read_input
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Array, Port

STRIDES = (8, 16, 32)  # of the maps that a YOLO has anchors on
PROTOTYPE_STRIDE = 4
PICK = 6  # x1 y1 x2 y2 score class: what an end-to-end head says before the coefficients
PROBE = (256, 320)  # height, width of what is tried on networks that take any size
IN_PIXELS = 2.0  # boxes of a network that says them in shares of the image stay below


class ExportedMaskNetwork:
    """A segmenting YOLO in a file; called as one in torch, it says the same."""

    outside_torch = True

    def __init__(self, file: Path, runtime: Runtime) -> None:
        """Open the file, and look what comes out for an image of noise.

        Raises:
            ModelError: it cannot be run, or does not put out what a segmenting YOLO does.
        """
        self._file = file
        self._session = open_exported(file, runtime)
        self._input = read_input(file, self._session.inputs)
        height, width = self._input.size
        self.image_size = (height, width) if height and width else None
        self.class_names = noted_classes(self._session)
        self.images_at_once = getattr(self._session, 'images_at_once', 1)
        noise = np.random.default_rng(0).random((1, 3, *(self.image_size or PROBE)), np.float32)
        try:
            found = self._run(torch.from_numpy(noise))
        except ModelError:
            raise
        except Exception as error:  # whatever the libraries raise
            raise ModelError(f'{file} cannot be run on an image: {error}') from error
        # Where a file keeps nothing of noise its boxes are zeros, and say nothing of their unit.
        self._in_shares = 0 < float(found[0][:, :BOX].max()) < IN_PIXELS

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run it on one image (1, 3, h, w) in [0, 1].

        Returns:
            boxes in pixels, scores and coefficients, (1, 5 + K, anchors), prototypes
            (1, K, h / 4, w / 4), and, of several classes, which (1, 1, anchors); float32.
        """
        found = self._run(batch)
        if self._in_shares:
            height, width = batch.shape[2:]
            found[0][:, :BOX] *= found[0].new_tensor([width, height] * 2)[:, None]
        return tuple(values.to(batch.device) for values in found)

    def _run(self, batch: Tensor) -> tuple[Tensor, ...]:
        pixels = batch[0].permute(1, 2, 0).float().cpu().numpy()
        if self._input.takes_bytes:
            pixels = np.round(pixels * 255).astype(np.uint8)
        outputs = self._session(self._input.batch(pixels))
        answers = list(zip(outputs, self._session.outputs, strict=True))
        found = [_real(values, port) for values, port in answers]
        size = (int(batch.shape[2]), int(batch.shape[3]))
        try:
            read = _read(found, size)
        except ValueError as error:
            shapes = ', '.join(str(tuple(values.shape)) for values in outputs)
            raise ModelError(
                f'{self._file} puts out {shapes} for {size[0]} x {size[1]} pixels: {error}'
            ) from error
        if any(values.dtype.kind in 'iu' and not port.scale for values, port in answers):
            known = '; LiteRT tells it: pip install ai-edge-litert'
            raise ModelError(
                f'{self._file} puts out integers, whose scale nobody tells'
                + known * (self._file.suffix.lower() == '.tflite')
            )
        return read


def _real(values: Array, port: Port) -> Tensor:
    """Return what quantised numbers mean, where their scale is known."""
    if values.dtype.kind not in 'iu' or not port.scale:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))
    return torch.from_numpy((values.astype(np.float32) - port.zero) * np.float32(port.scale))


def _read(found: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return predictions as of one class, prototypes, perhaps classes, of a network's outputs.

    Raises:
        ValueError: they are not those of a segmenting YOLO; says what would be.
    """
    maps = [values for values in found if values.ndim == 4]
    lists = [values for values in found if values.ndim == 3]
    side = tuple(length // PROTOTYPE_STRIDE for length in size)
    if len(maps) != 1 or len(lists) != 1 or side not in (maps[0].shape[2:], maps[0].shape[1:3]):
        raise ValueError(
            'a segmenting YOLO puts out (1, 4 + classes + K, anchors) and prototypes '
            f'(1, K, {side[0]}, {side[1]})'
        )
    prototypes = maps[0] if maps[0].shape[2:] == side else maps[0].permute(0, 3, 1, 2)
    coefficients, predicted = prototypes.shape[1], lists[0]
    anchors = sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)
    if predicted.shape[2] == PICK + coefficients != anchors:
        merged, *which = picked(predicted)
        return merged, prototypes, *which
    classes = predicted.shape[1] - BOX - coefficients
    if predicted.shape[2] != anchors or classes < 1:
        raise ValueError(
            f'with {coefficients} prototypes (1, {BOX + 1 + coefficients} or more, {anchors}) '
            f'or (1, picks, {PICK + coefficients}) is wanted beside them'
        )
    merged, *which = one_class(predicted, coefficients)
    return merged, prototypes, *which
