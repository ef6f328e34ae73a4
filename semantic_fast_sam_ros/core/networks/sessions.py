"""What a library makes of a network in a file: something to call, with inputs and outputs."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ModelError

Array = NDArray[Any]
NUMBERS = 'biuf'  # kinds of NumPy's types


@dataclass(frozen=True)
class Port:
    """An input or an output of a network, as its file declares it."""

    shape: tuple[int | None, ...]  # None where any length will do
    dtype: np.dtype[Any]
    # Of quantised numbers: value = (number - zero) * scale. Not known where the scale is 0.
    scale: float = 0.0
    zero: int = 0


def numpy_type(name: str) -> np.dtype[Any]:
    """Return the type of an input's or an output's numbers, by its name.

    Raises:
        ModelError: NumPy has no such numbers: bfloat16, texts, lists.
    """
    try:
        found = np.dtype(name)
    except TypeError as error:
        raise no_numbers(name) from error
    if found.kind not in NUMBERS:
        raise no_numbers(name)
    return found


def no_numbers(name: str) -> ModelError:
    """Return what is wrong with an input or an output of a type that NumPy does not have."""
    return ModelError(
        f'an input or output is of the type {name}: export the network with float32, float16 or '
        'whole numbers there'
    )


class Session(Protocol):
    """A network in a file, ready to run, and what the file says of it."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: dict[str, str]

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch of the first input's shape and type; all outputs, as declared."""
        ...
