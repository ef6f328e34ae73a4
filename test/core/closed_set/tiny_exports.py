"""Write tiny segmenters as ONNX, and load them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.closed_set.dense import load_dense
from semantic_fast_sam_ros.core.closed_set.exported import ExportedSegmenter
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings.models import DenseSettings

onnx = pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')
CPU = torch.device('cpu')
SETTINGS = DenseSettings(classes='road, car, sky, tree', mean='0', std='255')
SIZE = (48, 64)  # of the images that networks of a fixed size take
PARITY = 0.999  # of the pixels: libraries round differently


class Tiny(nn.Module):
    """Four classes, or one, by a convolution at half the image's size."""

    def __init__(self, ending: str = 'logits', channels_last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Conv2d(3, 1 if ending.startswith('one') else 4, 3, 2, 1)
        nn.init.normal_(self.layer.weight)
        self.ending, self.channels_last = ending, channels_last

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x.permute(0, 3, 1, 2) if self.channels_last else x)
        if self.ending == 'shares':
            x = x.softmax(1)
        elif self.ending == 'one share':
            x = x.sigmoid()
        elif self.ending.endswith('classes'):
            return x.argmax(1).float() if 'float' in self.ending else x.argmax(1)
        return x.permute(0, 2, 3, 1) if self.channels_last else x


def write(
    file: Path, module: nn.Module, free: bool = False, dtype: torch.dtype | None = None
) -> Path:
    """Write a network as ONNX for images of one size, or of any."""
    channels_last = getattr(module, 'channels_last', False)
    shape = (1, *SIZE, 3) if channels_last else (1, 3, *SIZE)
    torch.onnx.export(
        module.eval().requires_grad_(False),
        (torch.ones(shape, dtype=dtype),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=['pixels'],
        dynamic_axes={'pixels': {2: 'h', 3: 'w'}} if free else None,
    )
    return file


def picture(height: int = 96, width: int = 160) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (6, 10, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def batch_of(image: np.ndarray, size: tuple[int, int] = SIZE) -> Tensor:
    """An image as the networks of these tests take it, (1, 3, h, w) in 0-1."""
    pixels = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


def segmenter_of(
    file: Path, settings: DenseSettings = SETTINGS, backend: str = 'auto'
) -> ExportedSegmenter:
    settings = replace(settings, model=str(file))
    found = load_dense(settings, Policy(offline=True), Runtime(CPU, backend=backend))
    assert isinstance(found, ExportedSegmenter)
    return found


def assert_labels(segmenter: ExportedSegmenter, expected: np.ndarray) -> None:
    assert len(np.unique(expected)) > 1
    found = segmenter.segment(torch.from_numpy(picture()).permute(2, 0, 1))
    labels = found.probabilities(expected.shape).argmax(0).numpy()
    assert (labels == expected).mean() >= PARITY


def labels_of(module: Tiny, batch: Tensor) -> np.ndarray:
    """What the network itself says in torch."""
    found = module(batch.permute(0, 2, 3, 1) if module.channels_last else batch)[0]
    return (found if found.ndim == 2 else found.argmax(2 if module.channels_last else 0)).numpy()
