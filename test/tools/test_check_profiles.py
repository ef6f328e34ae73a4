"""check_profiles brings models from servers like the real ones, and tries what came."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from public_models import QUICK, absent, write_to_serve
from public_servers import LICENCE, Servers, serve, visit

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')
pytest.importorskip('textblob', reason='textblob is not installed: run scripts/setup')

from semantic_fast_sam_ros import __main__ as program
from semantic_fast_sam_ros.core.networks.offers import is_here
from semantic_fast_sam_ros.core.settings import profiles
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.tools import profile_trial

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings('ignore:.*torch.jit:FutureWarning'),
]
OPTIONS = [
    f'--set={name}={json.dumps(value)}' for name, value in QUICK.items() if name != 'offline'
]


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, Path]]:
    """Tiny networks under the names of all public models."""
    return write_to_serve(tmp_path_factory.mktemp('public'))


@pytest.fixture
def servers(
    written: tuple[dict[str, Path], dict[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Servers]:
    """Serve them, to a machine without any of them."""
    releases, hub = written
    with serve(dict(releases), dict(hub)) as running:
        visit(running.address, tmp_path / 'cache', monkeypatch)
        yield running


def test_every_model_of_every_profile_comes(servers: Servers) -> None:
    words = [f'--profile={name}' for name in profiles.profiles()]
    assert not any(is_here(model) for model in absent())
    assert program.main(['prefetch', *words]) == 0
    assert all(is_here(model) for model in absent())


def test_profiles_are_tried_and_one_that_fails_lets_the_others_go_on(
    servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers.releases.pop('yoloe-26s-seg.pt')
    servers.breaking['FastSAM-s.pt'] = servers.releases['FastSAM-s.pt']
    figures, page = tmp_path / 'out' / 'tried.json', tmp_path / 'out' / 'tried.html'
    words = ['yoloe', 'cityscapes_fast', 'ssa_engine', '--yes', *OPTIONS]
    code = program.main(['check_profiles', *words, f'--json={figures}', f'--html={page}'])
    said = capsys.readouterr()
    assert code == 3
    assert f'| Salesforce/blip-image-captioning-base | 0.1 | {LICENCE} | ssa_engine |' in said.out
    assert 'yoloe failed: cannot download' in said.out
    failed, fast, engine = json.loads(figures.read_text())['rows']
    assert '404' in failed['problem']
    for row in (fast, engine):
        assert row['problem'] == ''
        assert len(row['masks']) == len(profile_trial.PHOTOS)
        assert 0 < sum(row['classes'].values()) < 1.01  # rounded, each
        assert min(row['loaded_s'], row['image_s'], row['memory_mb']) > 0
        assert row['device'] == 'cpu'
    written = page.read_text()
    assert written.count('<img') == 2 * len(profile_trial.PHOTOS)
    assert written.index('yoloe failed') < written.index('<table')
    assert '<h2>cityscapes_fast</h2><p>FastSAM-s.pt, yolo26n-sem.pt</p>' in written
    assert len(written) < 2e6


def test_nothing_is_downloaded_without_a_yes(
    servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(['check_profiles', 'cityscapes_fast']) == 2
    said = capsys.readouterr()
    assert '| FastSAM-s.pt |' in said.out
    assert '--yes' in said.err
    assert servers.sent == []


def test_all_that_failed_is_no_success(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    servers.releases.pop('FastSAM-s.pt')
    assert program.main(['check_profiles', 'cityscapes_fast', '--yes', *OPTIONS]) == 1


def die(name: str, config: Config) -> None:
    """End as the system ends who takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_a_profile_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(profile_trial, '_label_photos', die)
    tried = profile_trial.try_profile('embedded', profiles.load_profile('embedded'))
    assert tried.problem == profile_trial.KILLED


def test_an_unknown_name_is_refused_before_anything_is_asked(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(['check_profiles', 'cityscape_fast', '--yes']) == 1
    assert "did you mean 'cityscapes_fast'" in capsys.readouterr().err
