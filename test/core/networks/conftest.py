"""What tests of the engines share."""

from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights on disk, and a cache of the test's own."""
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    (tmp_path / 'small.pt').write_bytes(b'weights')
    return tmp_path / 'small.pt'
