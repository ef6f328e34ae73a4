"""What several tests of the core share: a photo, the models that ship, tiny checkpoints."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings import config

weights.silence_libraries()
CPU = torch.device('cpu')


@pytest.fixture(scope='session')
def street() -> NDArray[np.uint8]:
    """The street scene that ultralytics ships, (640, 480, 3) RGB: people before a bus."""
    from ultralytics.utils import ASSETS

    photo = read_image(ASSETS / 'bus.jpg')
    return np.asarray(cv2.resize(photo, (480, 640), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope='session')
def street_tensor(street: NDArray[np.uint8]) -> Tensor:
    """The street scene as the pipeline hands it on, (3, 640, 480) uint8 RGB."""
    return torch.from_numpy(street).permute(2, 0, 1)


@pytest.fixture(scope='session')
def shipped_fastsam() -> Path:
    """The mask network that ships."""
    return weights.models_folder() / config.MaskSettings().model


@pytest.fixture(scope='session')
def embedded() -> SemanticFastSam:
    """The shipped pipeline on the CPU. Tests that change its settings put them back."""
    return SemanticFastSam.from_profile('embedded', device='cpu', offline=True)


@pytest.fixture(scope='session')
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a tiny checkpoint of a Hugging Face family, written once."""
    base = tmp_path_factory.mktemp('families')

    def folder(family: str) -> Path:
        if not (base / family).exists():
            tiny.FAMILIES[family](base / family)
        return base / family

    return folder


@pytest.fixture(scope='session')
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny ultralytics checkpoints by task."""
    base = tmp_path_factory.mktemp('checkpoints')
    return {
        'segment': tiny.write_fastsam(base / 'fastsam.pt'),
        'semantic': tiny.write_semantic(base / 'semantic.pt'),
        'many': tiny.write_fastsam(base / 'many.pt', ('cat', 'dog', 'cow')),
    }


@pytest.fixture(scope='session')
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a tiny open_clip model."""
    pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')
    from tiny_clip import write_clip

    return write_clip(tmp_path_factory.mktemp('models') / 'tiny_clip')
