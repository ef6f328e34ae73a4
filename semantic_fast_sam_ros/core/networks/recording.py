"""Networks that keep what they are given, to be converted by it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from semantic_fast_sam_ros.core.networks.batching import class_names
from semantic_fast_sam_ros.core.networks.conversions import IMAGE, Shape


@dataclass(frozen=True)
class Recorder:
    """A network on torch that keeps what it is given."""

    module: nn.Module
    source: Path
    shape: Shape = IMAGE
    exact: int = 0  # of its first convolutions, in an 8-bit form
    batches: list[Tensor] = field(default_factory=list)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of a network that names classes; else none."""
        return class_names(self.module)

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run the network on a batch (N, 3, h, w)."""
        self.batches.append(batch.cpu().clone())
        found: tuple[Tensor, ...] = self.module(batch)
        return found


_recorded: list[Recorder] | None = None


def recorded() -> list[Recorder] | None:
    """Return where networks that are loaded now are collected; None outside of `recording`."""
    return _recorded


@contextlib.contextmanager
def recording() -> Iterator[list[Recorder]]:
    """Collect the networks that are loaded meanwhile, and later their batches."""
    global _recorded
    _recorded = []
    try:
        yield _recorded
    finally:
        _recorded = None
