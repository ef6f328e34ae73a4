"""Dense segmenters that come as a file: what the file does not say, the settings dense.* do."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.base.timing import stage
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.networks.answers import require_finite
from semantic_fast_sam_ros.core.networks.batching import turns
from semantic_fast_sam_ros.core.networks.exported import (
    noted_classes,
    noted_colours,
    open_exported,
)
from semantic_fast_sam_ros.core.networks.image_input import read_input
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Array, Port
from semantic_fast_sam_ros.core.settings.config import parse_colour
from semantic_fast_sam_ros.core.settings.models import DenseSettings
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

log = logging.getLogger(__name__)
IMAGENET_MEAN = (123.675, 116.28, 103.53)  # of red, green, blue, 0-255
IMAGENET_STD = (58.395, 57.12, 57.375)
UNIT = 32  # sides of images for networks that take any are rounded to this
SUMS_TO_ONE = 1e-3  # how far sums over probabilities may be from it
BACKGROUND = 'background'
NOBODYS = ('background', 'unlabelled', 'none of these')  # names for what no class has
IGNORED = 255  # in maps of finished classes: none of them
NO_NUMBERS = 'no numbers'


@dataclass(frozen=True)
class Exit:
    """How a network puts its classes out."""

    index: int  # of the output
    kind: str  # logits, shares, logit, share, classes, integer scores, yes or no; NO_NUMBERS
    axis: int  # of the classes; 0 where there is none
    classes: int  # 0 where the output names the finished class of each pixel
    scale: float  # of quantised scores, else 0: value = (number - zero) * scale
    zero: int
    shape: tuple[int, ...]  # of the output
    beyond: tuple[int, ...]  # finished classes that were seen and have no name

    @property
    def pixels(self) -> int:
        """How many its map has."""
        return math.prod(self.shape) // max(1, self.classes)


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
        if self._exit.kind == NO_NUMBERS:
            raise ModelError(
                f'{file} says of an image of noise nothing but numbers that are none (NaN or '
                'infinity): its weights are damaged, or it was exported with too few bits'
            )
        self.class_names, self.left_out = self._complete(names)

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB."""
        with stage('preprocess'):
            batch = self._preprocess(image.permute(1, 2, 0).cpu().numpy())
        with self._turn, stage('dense_network'):
            found = self._network(batch)[self._exit.index]
        return _dense_map(_batched(found), self._exit, self._classes, image.device)

    @property
    def _classes(self) -> tuple[int, int]:
        """How many there are, and which of them is none of the others; -1 where each is one."""
        names = self.class_names
        return len(names), names.index(self.left_out) if self.left_out else -1

    def _statistics(self) -> tuple[Array, Array]:
        """Return what is taken off pixels and what they are divided by, (3,) float32 each."""
        mean, std = parse_colour(self._settings.mean), parse_colour(self._settings.std)
        noted = noted_colours(self._network) or (IMAGENET_MEAN, IMAGENET_STD)
        return np.array(mean or noted[0], np.float32), np.array(std or noted[1], np.float32)

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
        outputs = enumerate(zip(map(_batched, found), self._network.outputs, strict=True))
        exits = {
            index: _exit(index, values, port, expected, self._size(*image.shape[:2]))
            for index, (values, port) in outputs
            if values.ndim in (3, 4) and values.shape[0] == 1 and values.size
        }
        wanted = self._settings.output
        if exits and wanted < 0:
            return self._best(exits, expected)
        if wanted in exits:
            return exits[wanted]
        shapes = ', '.join(str(tuple(values.shape)) for values in found)
        asked = f' as output {wanted} (dense.output) of {len(found)}, from 0' * (wanted >= 0)
        raise ModelError(
            f'{self._file} puts out {shapes}: no scores (1, classes, height, width) and no map of '
            f'classes (1, height, width){asked}'
        )

    def _best(self, exits: dict[int, Exit], expected: int) -> Exit:
        """Return the output to take: whose classes have names, with scores, the finest, the first.

        Networks put out features or a coarse helper of their training beside what counts.
        """

        def rank(exit: Exit) -> tuple[bool, bool, int, int]:
            alone = exit.classes == 1 and expected == 2  # the class, or not
            named = alone or exit.classes in (0, expected)
            return named, exit.kind != 'classes', exit.pixels, -exit.index

        best = max(exits.values(), key=rank)
        if len(exits) > 1:
            others = ', '.join(str(index) for index in exits if index != best.index)
            log.warning(
                '%s: output %d is taken for the classes; dense.output can say another (%s)',
                *(self._file, best.index, others),
            )
        return best

    def _complete(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        """Return a name for each class of the network, and the one that is never published."""
        background, exit, count = self._settings.background, self._exit, self._exit.classes
        if count == 1 and len(names) == 1:  # one logit: the class, or not
            return (BACKGROUND, *names), BACKGROUND
        full = names
        if names and background >= 0 and len(names) != count:
            full = (*names[:background], BACKGROUND, *names[background:])
        if count == 1 and len(full) == 2:  # what is not the class has a name, too
            count = 2
        if not names or (count and len(full) != count) or exit.beyond:
            said = f'{len(names)} ({", ".join(names[:5])}, ...)' if names else 'none'
            has = f'{count} classes' if count != 1 else 'one score a pixel'
            has = f'{has} in {exit.shape}' if count else 'a map of classes'
            if exit.beyond:
                has += f' with the number {exit.beyond[0]} in it'
            raise ConfigError(
                f'{self._file.name} puts out {has}, and dense.classes names {said}: name each, in '
                "the network's order; dense.background leaves one out"
            )
        left_out = full[background] if 0 <= background < len(full) else ''
        if exit.kind == 'classes' and not left_out:  # a pixel may have none
            left_out = next(name for name in NOBODYS if name not in full)
            full = (*full, left_out)
        return full, left_out


def _batched(values: Array) -> Array:
    """Return an output with a batch in front, where a network leaves that away."""
    lacks = (values.ndim == 3 and values.shape[0] > 1) or (
        values.ndim == 2 and values.shape[0] > 1 and values.dtype.kind in 'iub'
    )
    return values[None] if lacks else values


def _exit(index: int, values: Array, port: Port, expected: int, size: tuple[int, int]) -> Exit:
    """Read how a network puts its classes out.

    Args:
        index: of the output.
        values: (1, C, h, w), (1, h, w, C) or (1, h, w), for some image.
        port: as which the file declares them.
        expected: so many classes have names.
        size: height and width of that image as the network got it.
    """
    axis = _class_axis(values.shape, expected, size) if values.ndim == 4 else 0
    classes = values.shape[axis] if axis else 1
    whole, many = values.dtype.kind in 'iub', classes > 1
    scale, zero = (port.scale, port.zero) if whole and many else (0.0, 0)
    scores = (values.astype(np.float32) - zero) * (scale or 1.0)
    scores = scores[np.isfinite(scores)]
    least, most = float(scores.min(initial=np.inf)), float(scores.max(initial=-np.inf))
    beyond: tuple[int, ...] = ()
    if not scores.size:
        kind = NO_NUMBERS
    elif whole and many and not scale:
        # Scores whose scale nobody knows tell which class is likeliest, and no more.
        kind = 'integer scores'
    elif many:
        # Of classes that exclude each other not, each has a share of its own.
        kind = 'shares' if least >= 0 and most <= 1 + SUMS_TO_ONE else 'logits'
    elif not whole and not ((scores == np.round(scores)).all() and (most > 1 or expected > 2)):
        kind = 'share' if least >= 0 and most <= 1 else 'logit'
    elif expected == 1 and least >= 0:
        kind = 'yes or no'
    else:  # perhaps written as floats
        kind = 'classes'
        seen = np.unique(scores[scores != IGNORED]).astype(int)
        beyond = tuple(int(number) for number in seen[seen >= expected])
    count = 0 if kind == 'classes' else classes
    return Exit(index, kind, axis, count, scale, zero, values.shape, beyond)


def _class_axis(shape: tuple[int, ...], expected: int, size: tuple[int, int]) -> int:
    """Return which axis of (1, C, h, w) or (1, h, w, C) holds the classes.

    Whichever is as long as there are names; if both are, that which leaves a map of the image's
    proportions.
    """
    fits = [axis for axis in (1, 3) if shape[axis] == expected]
    if not fits:
        return 3 if shape[3] == 1 else 1
    sides = {1: (shape[2], shape[3]), 3: (shape[1], shape[2])}
    return min(fits, key=lambda axis: abs(sides[axis][0] * size[1] - sides[axis][1] * size[0]))


def _dense_map(
    values: Array, exit: Exit, classes: tuple[int, int], device: torch.device
) -> DenseMap:
    """Make a map, on a device, of what a network put out.

    Args:
        values: with a batch of one in front.
        exit: as which they are read.
        classes: how many have names, and which of them is none of the others (-1: there is none).
        device: for the map.
    """
    found = values[0] if exit.axis == 0 else np.moveaxis(values[0], exit.axis - 1, 0)
    if found.dtype.kind == 'f' and exit.kind in ('classes', 'yes or no'):
        require_finite('the segmenter', torch.from_numpy(np.ascontiguousarray(found)))
    if exit.kind == 'integer scores':
        return _one_hot(found.argmax(0), classes, device)
    if exit.kind == 'classes':
        return _one_hot(found if exit.axis == 0 else found[0], classes, device)
    if exit.kind == 'yes or no':
        return _one_hot((found if exit.axis == 0 else found[0]) > 0, classes, device)
    scores = (found.astype(np.float32) - exit.zero) * (exit.scale or 1.0)
    tensor = torch.from_numpy(np.ascontiguousarray(scores)).to(device)
    if exit.kind in ('share', 'logit'):  # of one class; the rest is background
        flat = tensor.reshape(tensor.shape[-2:])
        rest = 1 - flat if exit.kind == 'share' else torch.zeros_like(flat)
        tensor = torch.stack([rest, flat])
    return DenseMap(tensor, are_logits=exit.kind in ('logit', 'logits'))


def _one_hot(labels: Array, classes: tuple[int, int], device: torch.device) -> DenseMap:
    """Make a map of finished classes, whose scores nobody knows; `classes` as in _dense_map."""
    count, nobody = classes
    indices = torch.from_numpy(np.ascontiguousarray(labels).astype(np.int64)).to(device)
    known = (indices >= 0) & (indices < count)
    indices = torch.where(known, indices, max(nobody, 0))
    scores = torch.zeros((count, *indices.shape), device=device)
    scores.scatter_(0, indices[None], (known | (nobody >= 0))[None].float())
    return DenseMap(scores, are_logits=False, finished=True)
