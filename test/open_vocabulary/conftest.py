"""Fixtures of the open-vocabulary tests: tiny checkpoints, written once."""

from pathlib import Path

import pytest

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from tiny_clip import write_clip


@pytest.fixture(scope='session')
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a tiny open_clip model."""
    return write_clip(tmp_path_factory.mktemp('models') / 'tiny_clip')
