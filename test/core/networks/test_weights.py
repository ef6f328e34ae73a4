"""Model files: found, downloaded once, pinned, verified, and missed in clear words."""

import contextlib
import http.server
import inspect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from public_servers import visit

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import checksums, downloads, weights
from semantic_fast_sam_ros.core.networks.weights import Policy

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
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
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
    assert time.monotonic() - started < downloads.TIMEOUT_S
    assert not [p for p in cache.rglob('*') if p.is_file()]


@pytest.fixture
def answer() -> Iterator[Callable[[bytes], str]]:
    """Answer each request on loopback with the same raw bytes, then hang up."""
    listener = socket.create_server(('127.0.0.1', 0))

    def run(reply: bytes) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                caller, _ = listener.accept()
                caller.recv(65536)
                caller.sendall(reply)
                caller.close()

    def start(reply: bytes) -> str:
        threading.Thread(target=run, args=(reply,), daemon=True).start()
        return f'http://127.0.0.1:{listener.getsockname()[1]}/FastSAM-s.pt'

    yield start
    listener.close()


@pytest.mark.parametrize(
    'reply',
    [
        b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
        b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nonly this',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly this',
        b'220 mail.example ready\r\n',
        b'',
    ],
    ids=['missing', 'cut off', 'cut off in a chunk', 'another protocol', 'silence'],
)
def test_a_bad_answer_leaves_nothing_behind(
    reply: bytes,
    answer: Callable[[bytes], str],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known_at(answer(reply), monkeypatch)
    with pytest.raises(ModelError, match='cannot download'):
        weights.checkpoint_file('FastSAM-s.pt', Policy())
    assert not [p for p in cache.rglob('*') if p.is_file()]


def test_a_disk_that_refuses_is_an_error_in_words(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_at(server, monkeypatch)
    cache.mkdir()
    (cache / 'weights').write_text('a file where the folder should be')
    with pytest.raises(ModelError, match=r'cannot download .* to .*weights'):
        weights.checkpoint_file('FastSAM-s.pt', Policy())


def test_the_download_shows_its_progress(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known_at(server, monkeypatch)
    weights.checkpoint_file('FastSAM-s.pt', Policy())
    assert 'FastSAM-s.pt: 100 % of 0.0 MB' in capsys.readouterr().err


def test_a_pinned_download_is_trusted_by_its_path_too(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_at(server, monkeypatch)
    file = weights.checkpoint_file('FastSAM-s.pt', Policy())
    assert weights.checkpoint_file(str(file), Policy()) == file
    file.write_bytes(b'other')
    with pytest.raises(ModelError, match='changed since the download'):
        weights.checkpoint_file(str(file), Policy())


def test_an_unpinned_file_in_the_cache_is_refused(cache: Path) -> None:
    (cache / 'weights').mkdir(parents=True)
    (cache / 'weights' / 'FastSAM-s.pt').write_bytes(CONTENT)
    with pytest.raises(ModelError, match='no pinned checksum'):
        weights.checkpoint_file('FastSAM-s.pt', Policy())


def test_a_file_that_lies_about_does_not_stand_in_for_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'fastsam_n.pt').write_bytes(b'other')
    monkeypatch.chdir(tmp_path)
    trusting = Policy(trust_model_files=True)
    found = weights.checkpoint_file('fastsam_n.pt', trusting)
    assert found.parent == weights.models_folder()


def test_pins_notice_each_file_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / 'model'
    for name in ('config.json', 'a/config.json', 'b/config.json'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    checksums.pin(folder)
    checksums.verify(folder)
    (folder / 'a/config.json').write_text('other')
    with pytest.raises(ModelError, match=r'a/config\.json changed'):
        checksums.verify(folder)
    (folder / 'a/config.json').unlink()
    with pytest.raises(ModelError, match=r'a/config\.json changed'):
        checksums.verify(folder)
    checksums.pins_file(folder).write_text('{"con')
    with pytest.raises(ModelError, match='no pinned checksum'):
        checksums.verify(folder)


def test_a_hub_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, 'HUB_TIMEOUT_S', 0.5)
    with socket.create_server(('127.0.0.1', 0)) as silent:
        visit(f'http://127.0.0.1:{silent.getsockname()[1]}', tmp_path, monkeypatch)
        started = time.monotonic()
        with pytest.raises(ModelError, match=r'download failed \(.*timed out'):
            weights.pretrained_folder('somebody/model', Policy())
        assert time.monotonic() - started < 10


def test_an_unreachable_hub_fails_in_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit('http://127.0.0.1:9', tmp_path, monkeypatch)
    started = time.monotonic()
    with pytest.raises(ModelError) as refused:
        weights.pretrained_folder('somebody/model', Policy())
    message = str(refused.value)
    assert all(word in message for word in ('somebody/model', 'download failed', 'prefetch'))
    assert time.monotonic() - started < 10


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
    offline = Policy(offline=True)
    assert weights.pretrained_folder('clip_lite0', offline, 'open_clip_config.json').is_dir()
    assert weights.checkpoint_file('fastsam_n.pt', Policy(offline=True)).is_file()


@pytest.mark.parametrize('name', sorted(weights.KNOWN))
def test_known_files_lie_where_ultralytics_looks_for_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.silence_libraries()
    from ultralytics.utils import downloads as of_ultralytics

    asked: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(of_ultralytics, 'safe_download', lambda url, **_: asked.append(url))
    of_ultralytics.attempt_download_asset(name)
    assert asked == [weights.KNOWN[name]]


def test_known_names_lie_where_ultralytics_looks_for_its_own() -> None:
    from ultralytics.utils import downloads as theirs

    assert weights.KNOWN.keys() <= theirs.GITHUB_ASSETS_NAMES
    release = inspect.signature(theirs.attempt_download_asset).parameters['release'].default
    place = f'https://github.com/{theirs.GITHUB_ASSETS_REPO}/releases/download/{release}'
    assert all(url == f'{place}/{name}' for name, url in weights.KNOWN.items())
