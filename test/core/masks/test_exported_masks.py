"""Segmenting YOLOs in files propose the masks that they propose in torch."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from tiny_mask_exports import SIZE, write, write_tflite
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.exported import ExportedMaskNetwork
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.networks.model_files import Model, dense_model, mask_model
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings.models import DenseSettings, MaskSettings

pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')
CPU = torch.device('cpu')
SETTINGS = MaskSettings(image_size=96, confidence=0.3, max_masks=20)


def photo() -> Tensor:
    return torch.from_numpy(
        np.random.default_rng(2).integers(0, 256, (3, *SIZE), np.uint8)  # needs no resizing
    )


def masks_of(model: Path, backend: str = 'auto') -> tuple[Tensor, Tensor]:
    generator = FastSamGenerator(model, SETTINGS, Runtime(CPU, backend=backend))
    with torch.inference_mode():
        found = generator.generate(photo())
    return found.masks, found.scores


@pytest.mark.parametrize(
    ('kind', 'backend'),
    [
        ('fastsam', 'openvino'),
        ('yolo with classes', 'openvino'),
        ('yolo with classes', 'onnxruntime'),
    ],
)
def test_masks_are_those_of_the_checkpoint(kind: str, backend: str, tmp_path: Path) -> None:
    names = ('object',) if kind == 'fastsam' else ('cat', 'dog', 'cow')
    checkpoint = tiny.write_fastsam(tmp_path / 'net.pt', names)
    wanted, scores = masks_of(checkpoint, 'torch')
    found, found_scores = masks_of(write(checkpoint, tmp_path / 'net.onnx'), backend)
    assert len(wanted) == len(found) > 3
    torch.testing.assert_close(found_scores, scores, rtol=1e-3, atol=1e-4)
    assert (found == wanted).float().mean() >= 0.999


def test_a_file_that_takes_any_size_heeds_the_setting(tmp_path: Path) -> None:
    checkpoint = tiny.write_fastsam(tmp_path / 'net.pt', ('cat', 'dog'))
    file = write(checkpoint, tmp_path / 'net.onnx', free=True)
    assert ExportedMaskNetwork(file, Runtime(CPU, backend='auto')).image_size is None
    assert (masks_of(file)[0] == masks_of(checkpoint, 'torch')[0]).float().mean() >= 0.999


class Picks(nn.Module):
    """Puts out what an end-to-end head does: corners, score, class, two coefficients."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        picks = torch.tensor([[[8.0, 4, 40, 36, 0.9, 17, 1, -1], [4, 8, 20, 10, 0.5, 3, 2, 0]]])
        return picks + 0 * x.mean(), x[:, :2, ::4, ::4]


def test_an_end_to_end_head_has_picked(tmp_path: Path) -> None:
    file = tmp_path / 'net.onnx'
    torch.onnx.export(Picks(), (torch.rand(1, 3, *SIZE),), file, dynamo=False)
    batch = torch.rand(1, 3, *SIZE)
    found, prototypes, which = ExportedMaskNetwork(file, Runtime(CPU, backend='auto'))(batch)
    wanted = [[24.0, 20, 32, 32, 0.9, 1, -1], [12, 9, 16, 2, 0.5, 2, 0]]
    torch.testing.assert_close(found, torch.tensor(wanted).T[None])
    torch.testing.assert_close(prototypes, batch[:, :2, ::4, ::4])
    assert which.tolist() == [[[17.0, 3.0]]]


class PicksInWhite(Picks):
    """Finds nothing in noise, as a file that suppresses by itself: zeros for each pick."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        picks, prototypes = super().forward(x)
        return picks * (x.mean() > 0.9), prototypes


def test_boxes_are_in_pixels_where_nothing_was_found_in_noise(tmp_path: Path) -> None:
    file = tmp_path / 'net.onnx'
    torch.onnx.export(PicksInWhite(), (torch.rand(1, 3, *SIZE),), file, dynamo=False)
    found, *_ = ExportedMaskNetwork(file, Runtime(CPU, backend='auto'))(torch.ones(1, 3, *SIZE))
    assert found[0, :4, 0].tolist() == [24, 20, 32, 32]


class Other(nn.Module):
    """Puts out what no segmenting YOLO does."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x[:, :, 0], x[:, :, ::4, ::4]


def test_other_networks_are_refused_with_what_would_fit(tmp_path: Path) -> None:
    file = tmp_path / 'other.onnx'
    torch.onnx.export(Other(), (torch.rand(1, 3, *SIZE),), file, dynamo=False)
    said = r'puts out \(1, 3, 96\), \(1, 3, 16, 24\) for 64 x 96.*\(1, 8 or more, 126\)'
    with pytest.raises(ModelError, match=said):
        FastSamGenerator(file, SETTINGS, Runtime(CPU, backend='auto'))


class Integers(Other):
    """Puts out a finished class of each pixel."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x.argmax(1),)


def test_maps_of_classes_are_no_masks(tmp_path: Path) -> None:
    file = tmp_path / 'other.onnx'
    torch.onnx.export(Integers(), (torch.rand(1, 3, *SIZE),), file, dynamo=False)
    with pytest.raises(ModelError, match=r'puts out \(1, 64, 96\) .*a segmenting YOLO puts out'):
        FastSamGenerator(file, SETTINGS, Runtime(CPU, backend='auto'))


@pytest.mark.parametrize('boxes_in', ['pixels', 'shares of the image'])
def test_quantised_numbers_mean_what_the_file_says(boxes_in: str, tmp_path: Path) -> None:
    file, said, prototypes = write_tflite(tmp_path / 'net.tflite', boxes_in)
    network = ExportedMaskNetwork(file, Runtime(CPU, backend='auto'))
    found, maps, which = network(torch.rand(1, 3, 32, 32))
    gain = 1 if boxes_in == 'pixels' else 32
    torch.testing.assert_close(found[:, :4], said[:, :4] * gain, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, 4], said[:, 4:7].amax(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, 5:], said[:, 7:], rtol=1e-4, atol=1e-4)
    assert torch.equal(which[:, 0].long(), said[:, 4:7].argmax(1))
    torch.testing.assert_close(maps, prototypes)


def test_names_that_ultralytics_notes_in_a_file_are_the_classes(tmp_path: Path) -> None:
    import onnx

    names = ('cat', 'dog', 'cow')
    file = write(tiny.write_sizes(tmp_path / 'net.pt', names), tmp_path / 'net.onnx')
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {'names': str(dict(enumerate(names)))})
    onnx.save(model, file)
    settings = replace(SETTINGS, names='prior', max_masks=300, iou=0.99)
    generator = FastSamGenerator(file, settings, Runtime(CPU, backend='auto'))
    with torch.inference_mode():
        found = generator.generate(photo())
    assert generator.class_names == names
    assert found.classes is not None
    assert len(set(found.classes.tolist())) > 1


def test_a_file_without_names_cannot_be_a_prior(tmp_path: Path) -> None:
    file = write(tiny.write_fastsam(tmp_path / 'net.pt', ('cat', 'dog')), tmp_path / 'net.onnx')
    with pytest.raises(ModelError, match='names no classes apart'):
        FastSamGenerator(file, replace(SETTINGS, names='prior'), Runtime(CPU, backend='auto'))


@pytest.mark.parametrize(
    'model',
    [
        mask_model(MaskSettings(model='yolov8n-seg.engine')),
        dense_model(DenseSettings(model='/somewhere/SEGMENTER.ENGINE')),
    ],
)
def test_a_tensorrt_engine_is_refused_with_what_to_do(model: Model) -> None:
    with pytest.raises(ModelError, match=r'name the \.onnx .* set backend to tensorrt'):
        model.find(Policy(trust_model_files=True))


@pytest.mark.parametrize('name', ['metadata.json', 'temp_meta.txt'])
def test_names_behind_a_tflite_network_are_the_classes(name: str, tmp_path: Path) -> None:
    file, _, _ = write_tflite(tmp_path / 'net.tflite', 'pixels')
    names = dict(enumerate(('cat', 'dog', 'cow')))
    noted = {'names': names, 'stride': 32}
    with zipfile.ZipFile(file, 'a') as behind:
        behind.writestr(name, json.dumps(noted) if name.endswith('.json') else str(noted))
    network = ExportedMaskNetwork(file, Runtime(CPU, backend='auto'))
    assert network.class_names == tuple(names.values())


@pytest.mark.parametrize('text', ['', '[1]', '{"names": 3}', '{"names": {"first": "cat"}}', '('])
def test_notes_that_are_none_name_nothing(text: str, tmp_path: Path) -> None:
    file, _, _ = write_tflite(tmp_path / 'net.tflite', 'pixels')
    with zipfile.ZipFile(file, 'a') as behind:
        behind.writestr('metadata.json', text)
    assert ExportedMaskNetwork(file, Runtime(CPU, backend='auto')).class_names == ()
