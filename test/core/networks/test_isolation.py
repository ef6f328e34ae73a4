"""Once the weights are present nothing touches the network or the home; seen in real processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from public_servers import serve

ROOT = Path(__file__).resolve().parents[3]
NAME = 'somebody/tiny-oneformer'  # the family that asks for a second repository

LABEL = """
import sys
import numpy as np
if sys.argv[1] == 'no network':
    import socket
    def refuse(*arguments, **named):
        raise AssertionError(f'network used: {arguments}')
    socket.socket.connect = socket.socket.connect_ex = refuse
    socket.getaddrinfo = socket.create_connection = refuse
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
segment = SemanticFastSam.from_profile('embedded', device='cpu', dense__model=sys.argv[2],
    dense__image_size=0, vocabulary='')
result = segment(np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8))
print(result.label_map.shape, 'from', segment.vocabulary.names)
"""


def label(network: str, model: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, '-c', LABEL, network, model],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f'(90, 120) from {tiny.CLASSES}' in done.stdout
    return done.stderr


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with an empty home and no settings of these libraries."""
    ours = ('HF_', 'YOLO_', 'MPL', 'XDG_', 'SEMANTIC_', 'TRANSFORMERS_', 'ULTRALYTICS_')
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    (tmp_path / 'home').mkdir()
    quiet = {'PYTHONDONTWRITEBYTECODE': '1', 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return kept | quiet | {'HOME': str(tmp_path / 'home'), 'TMPDIR': str(tmp_path)}


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob('*') if not p.is_dir()}


@pytest.mark.slow
def test_a_hub_model_needs_the_network_once_and_only_the_cache(
    tiny_folder: Callable[[str], Path], environment: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / 'home'
    with serve(hub={NAME: tiny_folder('oneformer')}) as servers:
        label('network', NAME, environment | {'HF_ENDPOINT': servers.address})
    present = files(home)
    assert any(name.endswith('model.safetensors') for name in present)
    assert all(name.startswith('.cache/semantic_fast_sam_ros/') for name in present)

    label('no network', NAME, environment)
    assert files(home) == present
    assert files(tmp_path) == {f'home/{name}' for name in present}

    snapshot = next(home.rglob('snapshots/*/model.safetensors'))
    snapshot.resolve().write_bytes(b'tampered')
    with pytest.raises(AssertionError, match=r'model\.safetensors changed since the download'):
        label('no network', NAME, environment)
