"""Every shipped profile, live: `stream` sends, the node labels, what `view` watches arrives."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from harness import ROOT, active_node, until
from public_models import QUICK, prefetched

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')
pytest.importorskip('textblob', reason='textblob is not installed: run scripts/setup')

from semantic_fast_sam_ros.core.settings import profiles
from semantic_fast_sam_ros.core.settings.config import flatten
from semantic_fast_sam_ros.viewer.watcher import Watcher

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings('ignore:.*torch.jit:FutureWarning'),
]


@pytest.fixture(scope='module', autouse=True)
def _models() -> Iterator[None]:
    with prefetched():
        yield


@pytest.fixture(scope='module', autouse=True)
def _stream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let `stream` send its photo in a process of its own for as long as the tests last."""
    log = tmp_path_factory.mktemp('stream') / 'log.txt'
    command = [sys.executable, '-m', 'semantic_fast_sam_ros', 'stream', '--loop', '--rate', '4']
    with log.open('w') as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    yield
    process.terminate()
    assert process.wait(60) == 0, log.read_text()


@pytest.fixture(scope='module')
def frames() -> Iterator[list[Any]]:
    """Give what the viewer gets to show."""
    found: list[Any] = []
    watcher = Watcher('/semantic_fast_sam', found.append, lambda _: None, lambda _: None)
    watcher.watch(True)
    yield found
    watcher.close()


@pytest.mark.parametrize('profile', sorted(profiles.profiles()))
def test_a_profile_labels_what_is_streamed_and_is_viewed(profile: str, frames: list[Any]) -> None:
    settings = flatten(profiles.load_profile(profile, QUICK))
    with active_node(**settings) as running:
        frames.clear()
        until(lambda: frames, f'the viewer has an image that {profile} labelled')
        assert frames[-1].labels.any()
        assert running.counts.failed == running.counts.refused == 0
