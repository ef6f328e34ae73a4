"""Models that vanish, disks that are full, memory that must come back."""

import errno
import http.server
import resource
import signal
import statistics
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import tiny
from harness import NAME, Diagnosis, Peer, RunningNode, photo_message
from lifecycle_msgs.msg import State, Transition
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import checksums, weights

Starter = Callable[..., RunningNode]
CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE = Transition.TRANSITION_ACTIVATE
LARGE_BYTES = 200 << 20  # of a network that is large enough to be seen in the resident memory
FILE = 'FastSAM-s.pt'


def test_deleted_model_fails_configure_and_its_return_lets_it_pass(
    start: Starter, peer: Peer, diagnosis: Diagnosis, tmp_path: Path
) -> None:
    file = tiny.write_fastsam(tmp_path / 'here.pt')
    content = file.read_bytes()
    start(masks__model=str(file), autostart=False)
    assert peer.change(CONFIGURE)
    assert peer.change(CLEANUP)
    file.unlink()
    assert not peer.change(CONFIGURE)
    diagnosis.until_message('cannot configure', 'here.pt')
    assert peer.state() == State.PRIMARY_STATE_UNCONFIGURED
    file.write_bytes(content)
    assert peer.change(CONFIGURE)
    assert peer.change(ACTIVATE)
    labels = peer.collect(Image, f'{NAME}/label_image')
    peer.feed(peer.camera(), photo_message(), lambda: labels)


@pytest.mark.timeout(300)
def test_cleanup_returns_the_memory_of_the_models(
    start: Starter, peer: Peer, tmp_path: Path
) -> None:
    process = psutil.Process()
    folder = tiny.write_segformer(tmp_path / 'large', hidden_bytes=LARGE_BYTES)
    running = start(dense__model=str(folder), autostart=False)
    held = []
    for _ in range(3):
        running.node.trigger_configure()
        configured = process.memory_info().rss
        running.node.trigger_cleanup()
        held.append(configured - process.memory_info().rss)
    assert statistics.median(held) > 0.8 * LARGE_BYTES, held  # one may meet other memory


@pytest.fixture(name='served')
def _served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a model of 2 MB on loopback under a known name; give the cache's folder."""
    (tmp_path / 'served').mkdir()
    (tmp_path / 'served' / FILE).write_bytes(b'weights.' * (1 << 18))
    handler = partial(_Quiet, directory=str(tmp_path / 'served'))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}/{FILE}'
        monkeypatch.setitem(weights.KNOWN, FILE, url)
        monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
        yield tmp_path / 'cache' / 'weights'
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_disk_that_fills_while_downloading_leaves_nothing_behind(served: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    told = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(ModelError, match=r'cannot download .*FastSAM-s\.pt'):
            weights.checkpoint_file(FILE, weights.Policy())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, told)
    assert list(served.iterdir()) == []
    assert weights.checkpoint_file(FILE, weights.Policy()).is_file()


@pytest.mark.parametrize('written', [0, 10])
def test_disk_that_is_full_when_the_download_is_pinned_leaves_nothing_behind(
    served: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    def full(path: Path, text: str, *_: object) -> None:
        with path.open('w') as file:
            file.write(text[:written])
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_text', full)
        with pytest.raises(ModelError, match='No space left on device'):
            weights.checkpoint_file(FILE, weights.Policy())
    assert list(served.iterdir()) == []
    assert weights.checkpoint_file(FILE, weights.Policy()).is_file()


def test_full_disk_does_not_damage_the_pins_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'model'
    folder.mkdir()
    (folder / 'config.json').write_text('{}')
    checksums.pin(folder)
    pins = checksums.pins_file(folder).read_text()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_text', full)
        with pytest.raises(OSError, match='No space left'):
            checksums.pin(folder)
    assert checksums.pins_file(folder).read_text() == pins
