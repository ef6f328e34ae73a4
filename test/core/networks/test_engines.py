"""Every backend must label as torch does."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from doubled import Doubled, needs, on

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.networks import engines, onnx_engine, openvino_engine
from semantic_fast_sam_ros.core.networks.conversions import int8_file
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.openvino_engine import OpenVinoNetwork
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

FP32 = {'device': 'cpu', 'precision': 'fp32'}
PARITY = 0.995  # of the pixels
PARITY_INT8 = 0.9  # on a photo unlike those that the networks know
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


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
    load_network(lambda: module, source, on(backend))
    kept = list((source.parent / 'cache' / 'engines').iterdir())
    assert kept and not [file for file in kept if file.name[0].isdigit()]  # nothing partial
    monkeypatch.setattr(openvino_engine, 'export_openvino', None)
    monkeypatch.setattr(onnx_engine, 'export_onnx', None)
    network = load_network(lambda: module, source, on(backend))
    for size in ((8, 12), (32, 20)):
        batch = torch.rand(1, 3, *size)
        for found, wanted in zip(network(batch), module(batch), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_a_converted_network_is_not_built_in_torch_again(backend: str, source: Path) -> None:
    needs(backend)
    module = Doubled().requires_grad_(False)
    module.class_names = ('road', 'Straße')
    load_network(lambda: module, source, on(backend))

    def build() -> torch.nn.Module:
        raise AssertionError('built')

    assert load_network(build, source, on(backend)).class_names == module.class_names


def test_auto_takes_openvino_once_a_conversion_is_there(source: Path) -> None:
    needs('openvino')
    module = Doubled().requires_grad_(False)
    assert load_network(lambda: module, source, on('auto')) is module
    load_network(lambda: module, source, on('openvino'))
    network = load_network(lambda: module, source, on('auto'))
    assert isinstance(network, OpenVinoNetwork)


def test_auto_converts_what_ships(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs('openvino')
    monkeypatch.setattr(engines, 'resource_folder', lambda _: source.parent)
    module = Doubled().requires_grad_(False)
    network = load_network(lambda: module, source, on('auto'))
    assert isinstance(network, OpenVinoNetwork)


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
    monkeypatch.setattr(engines, 'openvino_file', lambda source: source)
    module = Doubled()
    with caplog.at_level(logging.WARNING):
        network = load_network(lambda: module, source, on(backend))
    assert network is module
    assert 'openvino cannot run small.pt, torch does: no such operator' in caplog.text


def test_a_backend_that_is_missing_is_named(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, '_installed', lambda _: False)
    with pytest.raises(ModelError, match='pip install onnxruntime'):
        load_network(Doubled, source, on('tensorrt'))
    module = Doubled()
    assert load_network(lambda: module, source, on('auto')) is module


@pytest.mark.parametrize('precision', ['fp16', 'auto'])
def test_openvino_in_half_precision_is_refused(precision: str, source: Path) -> None:
    runtime = Runtime(torch.device('cpu'), torch.float16, 'openvino', precision)
    with pytest.raises(ModelError, match='openvino runs on the CPU in fp32 or int8, not on cpu'):
        load_network(Doubled, source, runtime)


def test_the_networks_that_ship_bring_their_8_bit_forms(street: np.ndarray) -> None:
    needs('openvino')
    models = resource_folder('models')
    for name in ('fastsam_n.pt', 'dense_lite0', 'clip_lite0'):
        assert int8_file(models / name) is not None, name
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
        load_network(Doubled, source, on(backend, 'int8'))
