"""Networks that come as a file label as the network in it does, or say why they do not."""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.closed_set.dense import load_dense
from semantic_fast_sam_ros.core.closed_set.exported import ExportedSegmenter
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.models import DenseSettings

onnx = pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')
CPU = torch.device('cpu')
SETTINGS = DenseSettings(classes='road, car, sky, tree', mean='0', std='255')
SIZE = (48, 64)  # of the images that networks of a fixed size take
PARITY = 0.999  # of the pixels: libraries round differently


class Tiny(nn.Module):
    """Four classes, or one, by a convolution at half the image's size."""

    def __init__(self, ending: str = 'logits', channels_last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Conv2d(3, 1 if ending.startswith('one') else 4, 3, 2, 1)
        nn.init.normal_(self.layer.weight)
        self.ending, self.channels_last = ending, channels_last

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x.permute(0, 3, 1, 2) if self.channels_last else x)
        if self.ending == 'shares':
            x = x.softmax(1)
        elif self.ending == 'one share':
            x = x.sigmoid()
        elif self.ending.endswith('classes'):
            return x.argmax(1).float() if 'float' in self.ending else x.argmax(1)
        return x.permute(0, 2, 3, 1) if self.channels_last else x


def write(
    file: Path, module: nn.Module, free: bool = False, dtype: torch.dtype | None = None
) -> Path:
    """Write a network as ONNX for images of one size, or of any."""
    channels_last = getattr(module, 'channels_last', False)
    shape = (1, *SIZE, 3) if channels_last else (1, 3, *SIZE)
    torch.onnx.export(
        module.eval().requires_grad_(False),
        (torch.ones(shape, dtype=dtype),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=['pixels'],
        dynamic_axes={'pixels': {2: 'h', 3: 'w'}} if free else None,
    )
    return file


def picture(height: int = 96, width: int = 160) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (6, 10, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def batch_of(image: np.ndarray, size: tuple[int, int] = SIZE) -> Tensor:
    """An image as the networks of these tests take it, (1, 3, h, w) in 0-1."""
    pixels = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


def segmenter_of(
    file: Path, settings: DenseSettings = SETTINGS, backend: str = 'auto'
) -> ExportedSegmenter:
    settings = replace(settings, model=str(file))
    found = load_dense(settings, Policy(offline=True), Runtime(CPU, backend=backend))
    assert isinstance(found, ExportedSegmenter)
    return found


def assert_labels(segmenter: ExportedSegmenter, expected: np.ndarray) -> None:
    assert len(np.unique(expected)) > 1
    found = segmenter.segment(torch.from_numpy(picture()).permute(2, 0, 1))
    labels = found.probabilities(expected.shape).argmax(0).numpy()
    assert (labels == expected).mean() >= PARITY


def labels_of(module: Tiny, batch: Tensor) -> np.ndarray:
    """What the network itself says in torch."""
    found = module(batch.permute(0, 2, 3, 1) if module.channels_last else batch)[0]
    return (found if found.ndim == 2 else found.argmax(2 if module.channels_last else 0)).numpy()


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
@pytest.mark.parametrize('ending', ['logits', 'shares', 'classes', 'float classes'])
@pytest.mark.parametrize('channels_last', [False, True])
def test_labels_are_those_of_the_network(
    backend: str, ending: str, channels_last: bool, tmp_path: Path
) -> None:
    module = Tiny(ending, channels_last)
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', module), backend=backend)
    assert_labels(segmenter, labels_of(module, batch_of(picture())))
    found = segmenter.segment(torch.from_numpy(picture()).permute(2, 0, 1))
    assert found.are_logits == (ending == 'logits')
    assert found.finished == ending.endswith('classes')


def test_a_network_of_any_size_gets_the_image_at_the_size_of_the_settings(tmp_path: Path) -> None:
    module = Tiny()
    file = write(tmp_path / 'net.onnx', module, free=True)
    segmenter = segmenter_of(file, replace(SETTINGS, image_size=64))
    # 96 x 160 at a shorter side of 64 has 64 x 107, and sides are multiples of 32.
    assert_labels(segmenter, labels_of(module, batch_of(picture(), (64, 96))))


def test_openvino_runs_its_own_files_and_folders_with_one(tmp_path: Path) -> None:
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    module = Tiny()
    model = openvino.convert_model(write(tmp_path / 'net.onnx', module))
    (tmp_path / 'ir').mkdir()
    openvino.save_model(model, tmp_path / 'ir' / 'net.xml', compress_to_fp16=False)
    assert_labels(segmenter_of(tmp_path / 'ir'), labels_of(module, batch_of(picture())))


def test_bytes_go_in_as_they_are_where_the_network_takes_bytes(tmp_path: Path) -> None:
    class Bytes(Tiny):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.float() / 255)

    file = write(tmp_path / 'net.onnx', Bytes(), dtype=torch.uint8)
    segmenter = segmenter_of(file, replace(SETTINGS, mean='100', std='9'))  # not heeded
    assert_labels(segmenter, labels_of(Tiny(), batch_of(picture())))


@pytest.mark.parametrize(('ending', 'least'), [('one logit', 0.0), ('one share', 0.5)])
def test_one_output_is_a_class_and_the_rest(ending: str, least: float, tmp_path: Path) -> None:
    module = Tiny(ending)
    settings = replace(SETTINGS, classes='road')
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', module), settings)
    assert (segmenter.class_names, segmenter.left_out) == (('background', 'road'), 'background')
    assert_labels(segmenter, module(batch_of(picture()))[0, 0].numpy() > least)


def test_colours_and_normalisation_are_as_the_settings_say(tmp_path: Path) -> None:
    module = Tiny()
    file = write(tmp_path / 'net.onnx', module)
    segmenter = segmenter_of(file, replace(SETTINGS, channels='bgr', mean='10, 20, 30', std='99'))
    mean = torch.tensor([10.0, 20, 30])[:, None, None]
    batch = ((batch_of(picture()) * 255 - mean) / 99).flip(1)
    assert_labels(segmenter, labels_of(module, batch))


def test_the_notes_of_ultralytics_in_a_file_name_its_classes(tmp_path: Path) -> None:
    module = Tiny()
    file = write(tmp_path / 'net.onnx', module)
    graph = onnx.load(file)
    names = "{0: 'road', 1: 'car', 2: 'sky', 3: 'tree'}"
    graph.metadata_props.append(onnx.StringStringEntryProto(key='names', value=names))
    onnx.save(graph, file)
    segmenter = segmenter_of(file, DenseSettings())
    assert segmenter.class_names == ('road', 'car', 'sky', 'tree')
    assert_labels(segmenter, labels_of(module, batch_of(picture())))  # pixels in 0-1, as theirs


def test_the_background_is_left_out(tmp_path: Path) -> None:
    settings = replace(SETTINGS, classes='road, car, sky', background=1)
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', Tiny()), settings)
    assert segmenter.class_names == ('road', 'background', 'car', 'sky')
    assert segmenter.left_out == 'background'


@pytest.mark.parametrize(
    ('classes', 'said'), [('', 'names none'), ('road, car', r'puts out 4 classes.*2 \(road, car')]
)
def test_names_that_do_not_fit_are_refused(classes: str, said: str, tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', Tiny())
    with pytest.raises(ConfigError, match=said):
        segmenter_of(file, replace(SETTINGS, classes=classes))


class TwoInputs(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class NoMap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def test_other_networks_are_refused_with_what_was_found(tmp_path: Path) -> None:
    file = tmp_path / 'two.onnx'
    torch.onnx.export(TwoInputs(), (torch.rand(1, 3, 8, 8),) * 2, file, dynamo=False)
    with pytest.raises(ModelError, match=r'takes 2 input\(s\) of \(1, 3, 8, 8\)'):
        segmenter_of(file)
    with pytest.raises(ModelError, match=r'puts out \(1, 3\): no scores'):
        segmenter_of(write(tmp_path / 'none.onnx', NoMap()))


def test_a_file_that_was_written_over_is_another_network(tmp_path: Path) -> None:
    first, other = Tiny(), Tiny()
    nn.init.normal_(other.layer.weight)
    for module in (first, other):
        file = write(tmp_path / 'net.onnx', module)
        os.utime(file, (1e9, 1e9))  # a copy may keep times; what OpenVINO compiled is kept
        assert_labels(segmenter_of(file), labels_of(module, batch_of(picture())))


@pytest.mark.parametrize('name', ['net.onnx', 'net.xml', 'net.tflite'])
@pytest.mark.parametrize('content', ['', 'no network', 'the first half of another'])
def test_damaged_files_are_refused(name: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / name
    whole = write(tmp_path / 'whole', Tiny()).read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if 'half' in content else content.encode())
    with pytest.raises(ModelError, match=f'{name} cannot be run on cpu'):
        segmenter_of(file)


def test_torch_cannot_run_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='torch cannot run it; leave backend at auto'):
        segmenter_of(write(tmp_path / 'net.onnx', Tiny()), backend='torch')


@pytest.mark.parametrize('ending', ['logits', 'classes'])
def test_the_whole_pipeline_labels_with_one(ending: str, tmp_path: Path) -> None:
    pipeline = SemanticFastSam.from_profile(
        'embedded',
        device='cpu',
        vocabulary='',
        dense__model=str(write(tmp_path / 'net.onnx', Tiny(ending))),
        dense__mean='0',
        dense__std='255',
        dense__classes='road, car, tree',
        dense__background=2,
    )
    result = pipeline(picture())
    assert pipeline.vocabulary.names == ('road', 'car', 'tree')
    assert (result.label_map == 0).any() and (result.label_map > 0).any()
    assert result.label_map.max() <= 3
    assert ((result.confidence > 0) == (result.label_map > 0)).all()
