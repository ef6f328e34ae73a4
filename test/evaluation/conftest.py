"""A tiny data set, tiny networks with its classes, and a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    """Give Debian's chromium, driven by Playwright."""
    playwright = pytest.importorskip(
        'playwright.sync_api', reason='playwright is missing (requirements/test.txt)'
    )
    names = ('chromium', 'chromium-browser', 'google-chrome')
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip('no chromium on this machine (Debian, Ubuntu: apt install chromium)')
    flags = ['--no-sandbox'] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=flags)
        yield opened
        opened.close()
