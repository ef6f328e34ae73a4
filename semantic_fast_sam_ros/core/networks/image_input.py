"""How a network in a file takes images in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks.sessions import Array, Port


@dataclass(frozen=True)
class ImageInput:
    """The input of a network that takes one image of three colours."""

    size: tuple[int | None, int | None]  # height, width; None where any will do
    channels_last: bool
    dtype: np.dtype[Any]

    @property
    def takes_bytes(self) -> bool:
        """Whether pixels go in as they are."""
        return self.dtype.kind in 'iu'

    def batch(self, pixels: Array) -> Array:
        """Arrange pixels (height, width, 3), bytes where it takes those, for the network."""
        if self.dtype == np.int8:
            pixels = pixels.astype(np.int16) - 128
        arranged = pixels if self.channels_last else pixels.transpose(2, 0, 1)
        return np.ascontiguousarray(arranged[None], self.dtype)


def read_input(file: Path, inputs: tuple[Port, ...]) -> ImageInput:
    """Read how a network takes images in.

    Raises:
        ModelError: it has several inputs, or takes something else than one image of three colours.
    """
    shapes = ', '.join(str(port.shape) for port in inputs)
    shape = inputs[0].shape if inputs else ()
    wanted = 'one of (1, 3, height, width) or (1, height, width, 3) is wanted'
    if len(inputs) != 1 or len(shape) != 4 or not (3 in shape[1:] or shape[1] is None):
        raise ModelError(f'{file} takes {len(inputs)} input(s) of {shapes}: {wanted}')
    if shape[0] not in (1, None):
        raise ModelError(
            f'{file} takes {shape[0]} images at once, {shapes}: export it for one, as {wanted}'
        )
    channels_last = shape[3] == 3 and shape[1] != 3
    height, width = shape[1:3] if channels_last else shape[2:4]
    return ImageInput((height, width), channels_last, inputs[0].dtype)
