"""A tiny data set, and tiny networks with its classes."""

from pathlib import Path

import layouts
import pytest
import tiny


@pytest.fixture(scope='session')
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Give the options that choose tiny networks: masks, and some of CamVid's classes."""
    folder = tmp_path_factory.mktemp('networks')
    masks = tiny.write_fastsam(folder / 'masks.pt')
    dense = tiny.write_segformer(folder / 'dense', ('road', 'sky', 'car', 'rhinoceros'))
    settings = {
        'masks.model': masks,
        'masks.image_size': 64,
        'masks.confidence': 0.01,
        'dense.model': dense,
        'dense.image_size': 32,
        'vocabulary': "''",
        'trust_model_files': 'true',
    }
    options = [f'--set={name}={value}' for name, value in settings.items()]
    return [*options, '--device=cpu']


@pytest.fixture(scope='session')
def segnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny CamVid in SegNet's layout, four frames of one sequence."""
    return layouts.segnet(tmp_path_factory.mktemp('camvid'), count=4)
