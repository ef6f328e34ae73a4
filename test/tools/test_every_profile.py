"""Every shipped profile goes through every tool: a table without a hole.

Tiny networks stand for those that do not ship, under their names, where `prefetch` puts them.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from public_models import QUICK, prefetched

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')
pytest.importorskip('textblob', reason='textblob is not installed: run scripts/setup')

from semantic_fast_sam_ros import __main__ as program
from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.core.networks.model_files import models_of
from semantic_fast_sam_ros.core.settings import profiles

for name in ('bags', 'evaluation'):  # whose tests write recordings and data sets
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / name))
layouts, recordings = (importlib.import_module(name) for name in ('layouts', 'recordings'))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings('ignore:.*torch.jit:FutureWarning'),
]
OPTIONS = [f'--set={name}={json.dumps(value)}' for name, value in QUICK.items()]
# With OneFormer or Mask2Former, which torch alone runs.
BY_QUERIES = (
    'ade20k',
    'ade20k_published',
    'cityscapes',
    'cityscapes_published',
    'ssa_engine',
    'ssa_engine_full',
)
NEEDS_NO_PROFILE_OF_ITS_OWN = {
    'demo': 'starts the node, see test/ros/test_every_profile_live.py',
    'benchmark': 'times the pipeline that the others run',
    'sweep': 'loads what the closed-set rows of evaluate load',
    'export-nav2': 'reads the vocabulary only',
    'export-hydra': 'reads the vocabulary only',
}


@pytest.fixture(scope='module', autouse=True)
def _models() -> Iterator[None]:
    with prefetched():
        yield


@pytest.fixture(scope='module')
def findings() -> dict[str, str]:
    """Return what `doctor` finds: verdict by subject."""
    from semantic_fast_sam_ros.tools import doctor

    return {finding.subject: finding.verdict for finding in doctor._models()}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give a folder of two images, 48 wide and 36 high."""
    folder = tmp_path / 'photos'
    for index in range(2):
        layouts.write(folder / f'{index}.png', recordings.picture(index))
    return folder


def _label_images(profile: str, photos: Path, output: Path) -> None:
    words = [str(photos), str(output), '--profile', profile, '--quiet', *OPTIONS]
    assert program.main(['label-images', *words]) == 0
    labels = read_labels(next(output.glob('label*/**/1.png')))
    assert labels.shape == recordings.SIZE
    _require_models(profile, output)


def _label_bag(profile: str, photos: Path, output: Path) -> None:
    bag = recordings.camera_bag(photos.parent / 'bag', 2)
    words = [str(bag), str(output), '--profile', profile, '--quiet', *OPTIONS]
    assert program.main(['label-bag', *words]) == 0
    assert json.loads((output / 'summary.json').read_text())['frames'] == 2
    _require_models(profile, output)


def _require_models(profile: str, output: Path) -> None:
    told = json.loads((output / 'label_run.json').read_text())['models']
    assert {model.name for model in models_of(profiles.load_profile(profile))} <= told.keys()


def _evaluate(profile: str, photos: Path, output: Path) -> None:
    labeller = profiles.load_profile(profile).labeller
    rows = 'dense,sfs' if labeller == 'closed_set' else labeller
    data = layouts.segnet(photos.parent / 'camvid', count=1)
    words = ['camvid', str(data), '--rows', rows, '--profile', profile, *OPTIONS]
    figures = output.with_suffix('.json')
    assert program.main(['evaluate', *words, '--work', str(output), '--json', str(figures)]) == 0
    assert all(np.isfinite(row['miou']) for row in json.loads(figures.read_text())['rows'])


def _export(profile: str, photos: Path, output: Path) -> None:
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    words = ['--profile', profile, '--backend', 'onnxruntime', '--images', str(photos), *OPTIONS]
    code = program.main(['export', *words, '--limit', '1', '--output', str(output)])
    if profile in BY_QUERIES:
        assert code == 1
        return
    assert code == 0
    assert {f.suffix for f in output.iterdir()} <= {'.onnx', '.xml', '.bin', '.json', '.blob'}


def _prefetch(profile: str, photos: Path, output: Path) -> None:
    assert program.main(['prefetch', '--profile', profile]) == 0


def _doctor(profile: str, findings: dict[str, str]) -> None:
    names = [model.name for model in models_of(profiles.load_profile(profile))]
    assert {name: findings[name] for name in names} == dict.fromkeys(names, 'ok')


TOOLS: dict[str, Callable[[str, Path, Path], None]] = {
    'label-images': _label_images,
    'label-bag': _label_bag,
    'evaluate': _evaluate,
    'export': _export,
    'prefetch': _prefetch,
}


@pytest.mark.parametrize('tool', TOOLS)
@pytest.mark.parametrize('profile', sorted(profiles.profiles()))
def test_a_profile_goes_through_a_tool(
    profile: str, tool: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    TOOLS[tool](profile, photos, tmp_path / 'out')
    said = capsys.readouterr().err
    assert 'is not here' not in said
    if tool == 'export' and profile in BY_QUERIES:
        assert 'it runs on torch only' in said


@pytest.mark.parametrize('profile', sorted(profiles.profiles()))
def test_doctor_finds_the_models_of_a_profile(profile: str, findings: dict[str, str]) -> None:
    _doctor(profile, findings)


def test_no_tool_that_takes_a_profile_is_left_out() -> None:
    taking = set()
    for command in program.COMMANDS:
        parser = argparse.ArgumentParser()
        importlib.import_module(
            f'semantic_fast_sam_ros.tools.{command.replace("-", "_")}'
        ).add_arguments(parser)
        if any('--profile' in action.option_strings for action in parser._actions):
            taking.add(command)
    assert taking - NEEDS_NO_PROFILE_OF_ITS_OWN.keys() == TOOLS.keys()
