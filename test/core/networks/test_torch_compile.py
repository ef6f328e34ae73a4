"""torch.compile runs a network as torch does, or leaves it to torch."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic_fast_sam_ros.core.networks import torch_compile
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.torch_compile import CompiledNetwork
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

ON_CPU = Runtime(torch.device('cpu'), backend='compile')
ON_CUDA = Runtime(torch.device('cuda'), backend='compile')
pytestmark = pytest.mark.timeout(300)

# In a process of its own: where torch writes is settled once in a process.
COMPILES = """
import shutil, sys, torch
from pathlib import Path
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.torch_compile import CompiledNetwork
from semantic_fast_sam_ros.core.networks.runtime import Runtime

class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, batch):
        found = self.layer(batch)
        return found.sigmoid() * 3, found + 1

module = Small().requires_grad_(False)
runtime = Runtime(torch.device('cpu'), backend='compile')
network = load_network(lambda: module, Path('small.pt'), runtime)
assert isinstance(network, CompiledNetwork)
with torch.inference_mode():
    for size in ((8, 12), (16, 12), (8, 12)):
        batch = torch.rand(1, 3, *size)
        for found, wanted in zip(network(batch), module(batch), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
print('compiled' if network._compiled is not None else 'gave up')
"""


class Doubled(torch.nn.Module):
    """A network without weights."""

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return batch, 2 * batch


def compile_in(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run COMPILES with folders of its own."""
    (folder / 'temporary').mkdir()
    (folder / 'home').mkdir()
    (folder / 'here').mkdir()
    unwanted = ('TORCHINDUCTOR_CACHE_DIR', 'TRITON_CACHE_DIR', 'XDG_CACHE_HOME')
    kept = {k: v for k, v in os.environ.items() if k not in unwanted}
    places = {
        'SEMANTIC_FAST_SAM_CACHE': str(folder / 'cache'),
        'TMPDIR': str(folder / 'temporary'),
        'HOME': str(folder / 'home'),
    }
    return subprocess.run(
        [sys.executable, '-c', COMPILES],
        cwd=folder / 'here',
        env={**kept, **places, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def files(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return [str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file()]


@pytest.mark.slow
def test_outputs_are_those_of_torch_and_files_are_in_the_cache(tmp_path: Path) -> None:
    said = compile_in(tmp_path)
    assert said.returncode == 0, said.stderr
    if said.stdout.strip() == 'gave up':
        pytest.skip(f'torch.compile does not run here: {said.stderr[-300:]}')
    assert any(name.endswith('.so') for name in files(tmp_path / 'cache' / 'compiled'))
    for place in ('temporary', 'home', 'here'):
        assert not files(tmp_path / place)


@pytest.mark.slow
def test_without_a_working_compiler_torch_runs_it(tmp_path: Path) -> None:
    said = compile_in(tmp_path, CXX=str(tmp_path / 'no-compiler'))
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == 'gave up'
    assert said.stderr.count('torch.compile cannot run small.pt, plain torch does') == 1


def failing(error: Exception, calls: list[int]):
    """Return a torch.compile whose networks raise an error when they are called."""

    def compile(module, **_):
        def run(batch):
            calls.append(1)
            raise error

        return run

    return compile


def test_a_failure_is_told_once_and_no_image_is_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(torch, 'compile', failing(RuntimeError('\nno such op\nmore'), calls))
    network = CompiledNetwork(Doubled(), Path('small.pt'), ON_CPU)
    batch = torch.rand(1, 3, 4, 6)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert torch.equal(network(batch)[1], 2 * batch)
    warnings = [record.message for record in caplog.records]
    assert warnings == ['torch.compile cannot run small.pt, plain torch does: no such op']
    assert len(calls) == 1


def test_memory_that_ran_out_is_no_reason_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(torch, 'compile', failing(torch.OutOfMemoryError('full'), calls))
    network = CompiledNetwork(Doubled(), Path('small.pt'), ON_CPU)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            network(torch.rand(1, 3, 4, 6))
    assert len(calls) == 2


def test_with_cuda_graphs_outputs_are_not_those_of_the_next_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, object]] = []
    memory = torch.zeros(1, 3, 4, 6)

    def compile(module, **options):
        asked.append(options)
        return lambda batch: (memory.copy_(batch),)  # as a graph that is replayed

    monkeypatch.setattr(torch, 'compile', compile)
    network = CompiledNetwork(Doubled(), Path('small.pt'), ON_CUDA)
    first = network(torch.ones(1, 3, 4, 6))[0]
    network(torch.zeros(1, 3, 4, 6))
    assert first.min() == 1
    assert asked == [{'dynamic': False, 'mode': 'reduce-overhead'}]


def test_folders_that_the_user_has_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TORCHINDUCTOR_CACHE_DIR', '/mine')
    monkeypatch.setenv('TRITON_CACHE_DIR', '/mine/triton')
    torch_compile._keep_to_the_cache()
    assert os.environ['TORCHINDUCTOR_CACHE_DIR'] == '/mine'
    assert os.environ['TRITON_CACHE_DIR'] == '/mine/triton'


def test_the_backend_is_chosen_by_name() -> None:
    network = load_network(Doubled, Path('small.pt'), ON_CPU)
    assert isinstance(network, CompiledNetwork)


@pytest.mark.slow
def test_the_networks_that_ship_are_captured(
    street: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without C++, which takes minutes: `export --backend compile` compares the compiled ones."""
    real, exact = torch.compile, {'device': 'cpu', 'precision': 'fp32'}
    # Libraries that it is the first to import use torch.compile as they know it.
    expected = SemanticFastSam.from_profile('embedded', backend='torch', **exact)
    monkeypatch.setattr(
        torch, 'compile', lambda module, **_: real(module, dynamic=False, backend='aot_eager')
    )
    segment = SemanticFastSam.from_profile('embedded', backend='compile', **exact)
    image = street[:300, :200]
    assert (segment(image).label_map == expected(image).label_map).mean() >= 0.995
    networks = (segment._generator._network, segment._labeller.segmenter._network)
    assert all(network._compiled is not None for network in networks)
