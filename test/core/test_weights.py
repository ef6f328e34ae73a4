"""Model files: found, downloaded once, pinned, verified, and missed in clear words."""

import http.server
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from semantic_fast_sam_ros.core import weights
from semantic_fast_sam_ros.core.errors import ModelError
from semantic_fast_sam_ros.core.weights import Policy

CONTENT = b'weights' * 1000
CLOSED_PORT = 'http://127.0.0.1:9/FastSAM-s.pt'


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a line a request."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve FastSAM-s.pt on loopback."""
    (tmp_path / 'served').mkdir()
    (tmp_path / 'served' / 'FastSAM-s.pt').write_bytes(CONTENT)
    handler = partial(Quiet, directory=str(tmp_path / 'served'))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}/FastSAM-s.pt'
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a cache of this test's own."""
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


def known_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.KNOWN, 'FastSAM-s.pt', url)


def test_a_known_model_is_downloaded_once_and_pinned(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_at(server, monkeypatch)
    first = weights.checkpoint_file('FastSAM-s.pt', Policy())
    assert first.read_bytes() == CONTENT
    assert first.is_relative_to(cache)
    known_at(CLOSED_PORT, monkeypatch)
    assert weights.checkpoint_file('FastSAM-s.pt', Policy(offline=True)) == first


def test_a_file_that_changed_since_is_refused(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_at(server, monkeypatch)
    weights.checkpoint_file('FastSAM-s.pt', Policy()).write_bytes(b'other')
    with pytest.raises(ModelError, match='changed since the download'):
        weights.checkpoint_file('FastSAM-s.pt', Policy())


def test_a_dead_server_fails_in_seconds_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_at(CLOSED_PORT, monkeypatch)
    started = time.monotonic()
    with pytest.raises(ModelError, match='cannot download'):
        weights.checkpoint_file('FastSAM-s.pt', Policy())
    assert time.monotonic() - started < weights.DOWNLOAD_TIMEOUT_S
    assert not [p for p in cache.rglob('*') if p.is_file()]


def test_offline_says_which_file_where_and_how() -> None:
    with pytest.raises(ModelError) as refused:
        weights.checkpoint_file('FastSAM-x.pt', Policy(offline=True))
    message = str(refused.value)
    assert all(word in message for word in ('FastSAM-x.pt', 'models', 'cache', 'prefetch'))


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ModelError, match=r'FastSAM-s\.pt'):
        weights.checkpoint_file('FastSAM-q.pt', Policy())


@pytest.mark.parametrize('name', ['no such model!', 'somebody/never-uploaded-this'])
def test_a_missing_pretrained_model_fails_in_words_offline(name: str) -> None:
    with pytest.raises(ModelError, match='is not here'):
        weights.pretrained_folder(name, Policy(offline=True))


def test_a_shipped_model_is_found_by_its_name() -> None:
    assert weights.pretrained_folder('dense_lite0_camvid', Policy(offline=True)).is_dir()
    assert weights.checkpoint_file('fastsam_n_camvid.pt', Policy(offline=True)).is_file()
