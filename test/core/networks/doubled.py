"""A network of one convolution, and where it is to run."""

import importlib.util

import pytest
import torch

from semantic_fast_sam_ros.core.networks.runtime import Runtime


class Doubled(torch.nn.Module):
    """A network of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.layer(batch)
        return found, 2 * found


def on(backend: str, precision: str = 'fp32') -> Runtime:
    return Runtime(torch.device('cpu'), backend=backend, precision=precision)


def needs(backend: str) -> None:
    for library in {'onnxruntime': ('onnx', 'onnxruntime')}.get(backend, (backend,)):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f'{library} is not installed')
