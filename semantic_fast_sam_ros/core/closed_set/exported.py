"""Dense segmenters that come as a file: what the file does not say, the settings dense.* do."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.base.timing import stage
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.networks.batching import turns
from semantic_fast_sam_ros.core.networks.exported import noted_classes, open_exported
from semantic_fast_sam_ros.core.networks.image_input import read_input
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Array, Port
from semantic_fast_sam_ros.core.settings.config import parse_colour
from semantic_fast_sam_ros.core.settings.models import DenseSettings
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # of red, green, blue, 0-255
IMAGENET_STD = (58.395, 57.12, 57.375)
UNIT = 32  # sides of images for networks that take any are rounded to this
SUMS_TO_ONE = 1e-3  # how far sums over probabilities may be from it
BACKGROUND = 'background'


@dataclass(frozen=True)
class Exit:
    """How a network puts its classes out."""

    index: int  # of the output
    kind: str  # logits, shares, logit, share, classes, integer scores
    axis: int  # of the classes; 0 where there is none
    classes: int  # 0 where the output names the finished class of each pixel
    scale: float  # of quantised scores, else 0: value = (number - zero) * scale
    zero: int


class ExportedSegmenter:
    """A semantic network in an ONNX, OpenVINO or TFLite file.

    The whole image is brought to the network's size, whatever its shape; the scores lie over all
    of it.
    """

    outside_torch = True

    def __init__(self, file: Path, settings: DenseSettings, runtime: Runtime) -> None:
        """Open the file, and look what comes out for an image of noise.

        Raises:
            ModelError: it cannot be run, or is no network from an image to scores or classes.
            ConfigError: the settings name too few or too many classes, or none.
        """
        self._file, self._settings = file, settings
        self._network = open_exported(file, runtime)
        self._input = read_input(file, self._network.inputs)
        self._mean, self._std = self._statistics()
        self._turn = turns(self._network)
        names = self._named_classes()
        self._exit = self._probe(len(names))
        self.class_names, self.left_out = self._complete(names, self._exit.classes)

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB."""
        with stage('preprocess'):
            batch = self._preprocess(image.permute(1, 2, 0).cpu().numpy())
        with self._turn, stage('dense_network'):
            found = self._network(batch)[self._exit.index]
        return _dense_map(found, self._exit, len(self.class_names), image.device)

    def _statistics(self) -> tuple[Array, Array]:
        """Return what is taken off pixels and what they are divided by, (3,) float32 each."""
        mean, std = parse_colour(self._settings.mean), parse_colour(self._settings.std)
        if 'names' in self._network.metadata:  # ultralytics: pixels in 0-1
            mean, std = mean or (0, 0, 0), std or (255, 255, 255)
        return (
            np.array(mean or IMAGENET_MEAN, np.float32),
            np.array(std or IMAGENET_STD, np.float32),
        )

    def _preprocess(self, image: Array) -> Array:
        """Bring an image (H, W, 3) uint8 RGB to what the network takes."""
        size = self._size(image.shape[0], image.shape[1])
        resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
        if not self._input.takes_bytes:
            resized = (resized - self._mean) / self._std
        return self._input.batch(
            resized[..., ::-1] if self._settings.channels == 'bgr' else resized
        )

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size that an image is brought to."""
        shorter = self._settings.image_size
        gain = shorter / min(height, width) if shorter else 1.0
        free = [max(UNIT, round(side * gain / UNIT) * UNIT) for side in (height, width)]
        fixed = self._input.size
        return fixed[0] or free[0], fixed[1] or free[1]

    def _named_classes(self) -> tuple[str, ...]:
        """Return the classes by the settings, else by the file; none where neither names any."""
        if self._settings.classes.strip():
            return resolve(self._settings.classes).names
        return noted_classes(self._network)

    def _probe(self, named: int) -> Exit:
        """Return how the network puts its classes out, seen on an image of noise."""
        noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
        image = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
        try:
            found = self._network(self._preprocess(image))
        except Exception as error:
            raise ModelError(f'{self._file} cannot be run on an image: {error}') from error
        expected = named + (self._settings.background >= 0)
        for index, (values, port) in enumerate(zip(found, self._network.outputs, strict=True)):
            if values.ndim in (3, 4) and values.shape[0] == 1 and values.size:
                return _exit(index, values, port, expected)
        shapes = ', '.join(str(tuple(values.shape)) for values in found)
        raise ModelError(
            f'{self._file} puts out {shapes}: no scores (1, classes, height, width) and no map of '
            'classes (1, height, width)'
        )

    def _complete(self, names: tuple[str, ...], count: int) -> tuple[tuple[str, ...], str]:
        """Return a name for each class of the network, and the one that is never published."""
        background = self._settings.background
        if count == 1 and len(names) == 1:  # one logit: the class, or not
            return (BACKGROUND, *names), BACKGROUND
        full = names
        if names and background >= 0 and len(names) != count:
            full = (*names[:background], BACKGROUND, *names[background:])
        if not names or (count and len(full) != count):
            said = f'{len(names)} ({", ".join(names[:5])}, ...)' if names else 'none'
            has = f'{count} classes' if count else 'a map of classes'
            raise ConfigError(
                f'{self._file.name} puts out {has}, and dense.classes names {said}: name each, in '
                "the network's order; dense.background leaves one out"
            )
        return full, full[background] if 0 <= background < len(full) else ''


def _exit(index: int, values: Array, port: Port, expected: int) -> Exit:
    """Read how a network puts its classes out.

    Args:
        index: of the output.
        values: (1, C, h, w), (1, h, w, C) or (1, h, w), for some image.
        port: as which the file declares them.
        expected: so many classes have names.
    """
    axis = 0
    if values.ndim == 4:
        fits = [axis for axis in (1, 3) if values.shape[axis] == expected]
        axis = fits[0] if fits else 3 if values.shape[3] == 1 else 1
    classes = values.shape[axis] if axis else 1
    whole, many = values.dtype.kind in 'iu', classes > 1
    scale, zero = (port.scale, port.zero) if whole and many else (0.0, 0)
    scores = (values.astype(np.float32) - zero) * (scale or 1.0)
    if whole and not scale:
        # Scores whose scale nobody knows tell which class is likeliest, and no more.
        kind = 'integer scores' if many else 'classes'
    elif many:
        sums = scores.sum(axis)
        kind = 'shares' if scores.min() >= 0 and abs(sums - 1).max() < SUMS_TO_ONE else 'logits'
    elif (scores == np.round(scores)).all() and scores.max() > 1:
        kind = 'classes'  # written as floats
    else:
        kind = 'share' if scores.min() >= 0 and scores.max() <= 1 else 'logit'
    return Exit(index, kind, axis, 0 if kind == 'classes' else classes, scale, zero)


def _dense_map(values: Array, exit: Exit, classes: int, device: torch.device) -> DenseMap:
    """Make a map, on a device, of what a network put out; `classes` have names."""
    found = values[0] if exit.axis == 0 else np.moveaxis(values[0], exit.axis - 1, 0)
    if exit.kind == 'integer scores':
        return _one_hot(found.argmax(0), classes, device)
    if exit.kind == 'classes':
        return _one_hot(found if exit.axis == 0 else found[0], classes, device)
    scores = (found.astype(np.float32) - exit.zero) * (exit.scale or 1.0)
    tensor = torch.from_numpy(np.ascontiguousarray(scores)).to(device)
    if exit.kind in ('share', 'logit'):  # of one class; the rest is background
        flat = tensor.reshape(tensor.shape[-2:])
        rest = 1 - flat if exit.kind == 'share' else torch.zeros_like(flat)
        tensor = torch.stack([rest, flat])
    return DenseMap(tensor, are_logits=exit.kind in ('logit', 'logits'))


def _one_hot(labels: Array, classes: int, device: torch.device) -> DenseMap:
    """Make a map of finished classes, whose scores nobody knows; others than named score 0."""
    indices = torch.from_numpy(np.ascontiguousarray(labels).astype(np.int64)).to(device)
    known = (indices >= 0) & (indices < classes)
    scores = torch.zeros((classes, *indices.shape), device=device)
    scores.scatter_(0, (indices * known)[None], known[None].float())
    return DenseMap(scores, are_logits=False, finished=True)
