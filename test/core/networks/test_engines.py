"""Every backend must label as torch does."""

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.networks import engines
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

FP32 = {'device': 'cpu', 'precision': 'fp32'}
PARITY = 0.995  # of the pixels
PARITY_INT8 = 0.9  # on a photo unlike those that the networks know
pytestmark = pytest.mark.timeout(300)


def on(backend: str, precision: str = 'fp32') -> Runtime:
    return Runtime(torch.device('cpu'), backend=backend, precision=precision)


class Doubled(torch.nn.Module):
    """A network of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.layer(batch)
        return found, 2 * found


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights on disk, and a cache of the test's own."""
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    (tmp_path / 'small.pt').write_bytes(b'weights')
    return tmp_path / 'small.pt'


def needs(backend: str) -> None:
    for library in {'onnxruntime': ('onnx', 'onnxruntime')}.get(backend, (backend,)):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f'{library} is not installed')


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_labels_are_those_of_torch(backend: str, street: np.ndarray) -> None:
    needs(backend)
    expected = SemanticFastSam.from_profile('embedded', **FP32, backend='torch')
    segment = SemanticFastSam.from_profile('embedded', **FP32, backend=backend)
    for image in (street, street[:300, :200], street.transpose(1, 0, 2)):
        found, wanted = segment(image), expected(image)
        assert (found.label_map == wanted.label_map).mean() >= PARITY
        assert abs(len(found.boxes) - len(wanted.boxes)) <= 1


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_a_conversion_is_kept_and_serves_every_size(
    backend: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(backend)
    module = Doubled().requires_grad_(False)
    engines.load_network(lambda: module, source, on(backend))
    kept = list((source.parent / 'cache' / 'engines').iterdir())
    assert kept and not [file for file in kept if file.name[0].isdigit()]  # nothing partial
    monkeypatch.setattr(engines, f'export_{"onnx" if backend != "openvino" else backend}', None)
    network = engines.load_network(lambda: module, source, on(backend))
    for size in ((8, 12), (32, 20)):
        batch = torch.rand(1, 3, *size)
        for found, wanted in zip(network(batch), module(batch), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_a_converted_network_is_not_built_in_torch_again(backend: str, source: Path) -> None:
    needs(backend)
    module = Doubled().requires_grad_(False)
    module.class_names = ('road', 'Straße')
    engines.load_network(lambda: module, source, on(backend))

    def build() -> torch.nn.Module:
        raise AssertionError('built')

    assert engines.load_network(build, source, on(backend)).class_names == module.class_names


def test_a_conversion_of_an_earlier_version_asks_torch_for_the_classes(source: Path) -> None:
    needs('openvino')
    module = Doubled().requires_grad_(False)
    module.class_names = ('road',)
    engines.load_network(lambda: module, source, on('openvino'))
    for note in (source.parent / 'cache' / 'engines').glob('*.json'):
        note.unlink()
    assert engines.load_network(lambda: module, source, on('openvino')).class_names == ('road',)


@pytest.mark.parametrize('damage', ['absent', 'cut off', 'a file in place of the folder'])
def test_what_openvino_compiled_is_kept_and_made_anew_where_it_cannot_be_used(
    damage: str, source: Path
) -> None:
    needs('openvino')
    module = Doubled().requires_grad_(False)
    engines.load_network(lambda: module, source, on('openvino'))
    folder = source.parent / 'cache' / 'engines' / 'compiled'
    (blob,) = folder.glob('*.blob')
    if damage == 'cut off':
        blob.write_bytes(blob.read_bytes()[:100])
    else:
        blob.unlink()
    if damage.startswith('a file'):
        folder.rmdir()
        folder.write_bytes(b'')
    network, batch = (
        engines.load_network(lambda: module, source, on('openvino')),
        torch.rand(1, 3, 8, 8),
    )
    torch.testing.assert_close(network(batch)[0], module(batch)[0], rtol=1e-4, atol=1e-5)


def test_auto_takes_openvino_once_a_conversion_is_there(source: Path) -> None:
    needs('openvino')
    module = Doubled().requires_grad_(False)
    assert engines.load_network(lambda: module, source, on('auto')) is module
    engines.load_network(lambda: module, source, on('openvino'))
    network = engines.load_network(lambda: module, source, on('auto'))
    assert isinstance(network, engines.OpenVinoNetwork)


def test_auto_converts_what_ships(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs('openvino')
    monkeypatch.setattr(engines, 'resource_folder', lambda _: source.parent)
    module = Doubled().requires_grad_(False)
    network = engines.load_network(lambda: module, source, on('auto'))
    assert isinstance(network, engines.OpenVinoNetwork)


def test_openvino_sends_no_telemetry() -> None:
    needs('openvino')
    code = (
        'from semantic_fast_sam_ros.core.networks import engines; engines._openvino();'
        'from openvino.tools.ovc import telemetry_utils, convert_impl;'
        'print(telemetry_utils.tm.__name__, convert_impl.tm.__name__)'
    )
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ['openvino.tools.ovc.telemetry_stub'] * 2


LET_GO_ON_ANOTHER_THREAD = """
import signal, sys, threading
from pathlib import Path
import torch
from semantic_fast_sam_ros.core.networks import engines
from semantic_fast_sam_ros.core.networks.runtime import Runtime

runtime = Runtime(torch.device('cpu'), backend='openvino')
networks = [engines.load_network(lambda: torch.nn.Conv2d(3, 2, 3), Path(sys.argv[1]), runtime)]
thread = threading.Thread(target=networks.clear)
thread.start()
thread.join()
signal.signal(signal.SIGALRM, lambda *_: print('alive'))
signal.raise_signal(signal.SIGALRM)
"""


def test_a_signal_is_survived_after_a_network_went_on_another_thread(source: Path) -> None:
    needs('openvino')
    command = [sys.executable, '-c', LET_GO_ON_ANOTHER_THREAD, str(source)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ['alive']


def test_other_weights_are_converted_anew(source: Path) -> None:
    before = engines.engine_file(source, 'xml')
    source.write_bytes(b'other weights')
    assert engines.engine_file(source, 'xml') != before


@pytest.mark.parametrize('backend', ['auto', 'openvino'])
def test_what_cannot_be_converted_stays_on_torch_and_is_told(
    backend: str,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError('no such operator')

    monkeypatch.setitem(engines.ENGINES, 'openvino', fail)
    monkeypatch.setattr(engines, '_installed', lambda _: True)
    monkeypatch.setattr(engines, '_openvino_file', lambda source: source)
    module = Doubled()
    with caplog.at_level(logging.WARNING):
        network = engines.load_network(lambda: module, source, on(backend))
    assert network is module
    assert 'openvino cannot run small.pt, torch does: no such operator' in caplog.text


def test_a_backend_that_is_missing_is_named(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, '_installed', lambda _: False)
    with pytest.raises(ModelError, match='pip install onnxruntime'):
        engines.load_network(Doubled, source, on('tensorrt'))
    module = Doubled()
    assert engines.load_network(lambda: module, source, on('auto')) is module


@pytest.mark.parametrize('precision', ['fp16', 'auto'])
def test_openvino_in_half_precision_is_refused(precision: str, source: Path) -> None:
    runtime = Runtime(torch.device('cpu'), torch.float16, 'openvino', precision)
    with pytest.raises(ModelError, match='openvino runs on the CPU in fp32 or int8, not on cpu'):
        engines.load_network(Doubled, source, runtime)


def test_the_exported_graph_takes_any_size(source: Path) -> None:
    needs('onnxruntime')
    import onnx

    file = source.parent / 'exported.onnx'
    engines.export_onnx(Doubled().eval(), file)
    graph = onnx.load(file).graph
    onnx.checker.check_model(onnx.load(file))
    sides = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert sides == [1, 3, 'height', 'width']
    assert len(graph.output) == 2


def test_the_networks_that_ship_bring_their_8_bit_forms(street: np.ndarray) -> None:
    needs('openvino')
    models = resource_folder('models')
    for name in ('fastsam_n.pt', 'dense_lite0_camvid', 'clip_camvid'):
        assert engines.int8_file(models / name) is not None, name
    exact = SemanticFastSam.from_profile('embedded', **FP32)
    quick = SemanticFastSam.from_profile('embedded', device='cpu', precision='int8')
    found, wanted = quick(street), exact(street)
    assert PARITY_INT8 <= (found.label_map == wanted.label_map).mean() < 1  # 1: not in 8 bits
    automatic = SemanticFastSam.from_profile('embedded', device='cpu')(street)
    assert (automatic.label_map == found.label_map).all()


@pytest.mark.parametrize('backend', ['auto', 'torch', 'openvino'])
def test_an_8_bit_form_that_is_missing_is_told_with_the_command(
    backend: str, source: Path
) -> None:
    with pytest.raises(ModelError, match=r'small.pt cannot run in 8 bits.*export --int8'):
        engines.load_network(Doubled, source, on(backend, 'int8'))


def test_making_an_8_bit_form_without_nncf_names_the_package(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, '_installed', lambda _: False)
    with pytest.raises(ModelError, match='pip install nncf'):
        engines.export_int8(engines.Recorder(Doubled(), source))


def test_an_8_bit_form_is_made_of_recorded_batches_and_then_taken(source: Path) -> None:
    needs('openvino')
    needs('nncf')
    module = Doubled().requires_grad_(False)
    with engines.recording() as networks:
        network = engines.load_network(lambda: module, source, on('torch'))
    for _ in range(3):
        network(torch.rand(1, 3, 16, 24))
    file = engines.export_int8(networks[0])
    assert engines.int8_file(source) == file
    batch = torch.rand(1, 3, 16, 24)
    found = engines.load_network(lambda: module, source, on('auto', 'auto'))(batch)[0]
    torch.testing.assert_close(found, module(batch)[0], rtol=0.1, atol=0.05)
    source.write_bytes(b'other weights')
    assert engines.int8_file(source) is None
