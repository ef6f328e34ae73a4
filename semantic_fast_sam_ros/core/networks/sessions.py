"""What a library makes of a network in a file: something to call, with inputs and outputs."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Port:
    """An input or an output of a network, as its file declares it."""

    shape: tuple[int | None, ...]  # None where any length will do
    dtype: np.dtype[Any]
    # Of quantised numbers: value = (number - zero) * scale. Not known where the scale is 0.
    scale: float = 0.0
    zero: int = 0


class Session(Protocol):
    """A network in a file, ready to run, and what the file says of it."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: dict[str, str]

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch of the first input's shape and type; all outputs, as declared."""
        ...
