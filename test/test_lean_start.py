"""What a start imports and builds: only what the models that run need."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

HEAVY = ('transformers', 'ultralytics', 'timm', 'open_clip', 'torchvision')
SCIPY = ('scipy.sparse', 'scipy.stats', 'scipy.optimize')  # numba asks scipy itself its version
TELL = """
import gc, json, sys
modules = sorted(sys.modules)
torch = sys.modules.get('torch')
built = [type(o).__name__ for o in gc.get_objects() if torch and isinstance(o, torch.nn.Module)]
print(json.dumps({'modules': modules, 'built': built}), file=sys.stderr)
"""
LOAD = """
import sys
import numpy as np
from semantic_fast_sam_ros import SemanticFastSam
pipeline = SemanticFastSam.from_profile(sys.argv[1], device='cpu', offline=True, **{overrides})
pipeline(np.full((48, 64, 3), 114, np.uint8))
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def after(script: str, *words: str) -> dict[str, Any]:
    """Return what a process of its own has imported and built at the end of a script."""
    done = subprocess.run(
        [sys.executable, '-c', script + TELL, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def loaded(profile: str, **overrides: object) -> dict[str, Any]:
    """Return it after a profile was loaded and has labelled an image."""
    return after(LOAD.replace('{overrides}', repr(overrides)), profile)


def imported(found: dict[str, Any], *modules: str) -> set[str]:
    return {*modules} & {*found['modules']}


def test_importing_the_package_imports_no_library() -> None:
    found = after('import semantic_fast_sam_ros')
    assert not imported(found, *HEAVY, 'torch', 'numpy', 'cv2', 'yaml')


@pytest.mark.parametrize('words', [['doctor'], ['--help'], ['doctor', '--help']])
def test_doctor_and_help_import_nothing_heavy(words: list[str]) -> None:
    command = f'main({words!r})'
    if words[-1] == '--help' and len(words) > 1:  # argparse ends the process
        command = f'import contextlib\nwith contextlib.suppress(SystemExit):\n    {command}'
    found = after(f'from semantic_fast_sam_ros.__main__ import main\n{command}')
    assert not imported(found, *HEAVY, *SCIPY, 'torch', 'numba', 'openvino')


def write_checkpoint(place: Path) -> str:
    tiny.write_semantic(place / 'semantic.pt')
    return str(place / 'semantic.pt')


def write_folder(place: Path) -> str:
    return str(tiny.write_upernet(place / 'upernet'))


@pytest.mark.skipif(not importlib.util.find_spec('openvino'), reason='openvino is not installed')
@pytest.mark.parametrize(
    ('write', 'library'), [(write_checkpoint, 'ultralytics'), (write_folder, 'transformers')]
)
def test_converted_networks_are_not_built_and_need_no_library(
    write: Callable[[Path], str], library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    settings = {'dense__model': write(tmp_path), 'trust_model_files': True, 'backend': 'openvino'}
    first, second = loaded('embedded', **settings), loaded('embedded', **settings)
    assert library in first['modules']  # to convert it, once
    assert second['built'] == [] and not imported(second, *HEAVY, *SCIPY)


def test_shipped_profile_builds_only_what_is_not_converted() -> None:
    found = loaded('embedded')
    assert not imported(found, 'open_clip', 'ultralytics')
    if importlib.util.find_spec('openvino'):
        assert found['built'] == [] and not imported(found, *HEAVY, *SCIPY)


@pytest.mark.skipif(not importlib.util.find_spec('openvino'), reason='openvino is not installed')
def test_clip_is_built_for_names_that_are_new_and_not_for_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    first, second = loaded('embedded_open'), loaded('embedded_open')
    # open_clip itself imports torchvision, and transformers and timm where they are installed.
    assert imported(first, *HEAVY) >= {'open_clip', 'torchvision'}
    assert 'ultralytics' not in first['modules'] and 'SegmentationModel' not in first['built']
    assert second['built'] == [] and not imported(second, *HEAVY)
    other = loaded('embedded_open', vocabulary='road, zebra')
    assert 'open_clip' in other['modules']
