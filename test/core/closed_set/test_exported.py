"""Networks that come as a file label as the network in it does."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from tiny_exports import (
    SETTINGS,
    SIZE,
    Tiny,
    assert_labels,
    batch_of,
    labels_of,
    picture,
    segmenter_of,
    write,
)
from torch import Tensor, nn

from semantic_fast_sam_ros.core.networks import exported
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.models import DenseSettings

onnx = pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')


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


def test_a_file_that_was_written_over_is_another_network(tmp_path: Path) -> None:
    first, other = Tiny(), Tiny()
    nn.init.normal_(other.layer.weight)
    for module in (first, other):
        file = write(tmp_path / 'net.onnx', module)
        os.utime(file, (1e9, 1e9))  # a copy may keep times; what OpenVINO compiled is kept
        assert_labels(segmenter_of(file), labels_of(module, batch_of(picture())))


@pytest.mark.parametrize('library', ['openvino', 'ai_edge_litert'])
def test_tflite_files_run_by_either_library(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_tflite = pytest.importorskip('tiny_tflite', reason='ai-edge-litert is missing')
    module = Tiny()
    weights = module.layer.weight.detach().permute(0, 2, 3, 1).numpy()
    graph = tiny_tflite.Graph((1, *SIZE, 3))
    scores = tiny_tflite.convolution(graph, weights, module.layer.bias.detach().numpy(), 2)
    file = graph.write(tmp_path / 'net.tflite', [scores])
    if library != 'openvino':  # as if it could not convert the file
        monkeypatch.setitem(exported.OPENERS, 'openvino', None)
    segmenter = segmenter_of(file)
    # Padded behind only, as TensorFlow does where the size divides by the stride.
    padded = functional.pad(batch_of(picture()), (0, 1, 0, 1))
    with torch.no_grad():
        expected = functional.conv2d(padded, module.layer.weight, module.layer.bias, 2)
    assert_labels(segmenter, expected[0].argmax(0).numpy())


def test_quantised_scores_are_probabilities_by_litert(tmp_path: Path) -> None:
    tiny_tflite = pytest.importorskip('tiny_tflite', reason='ai-edge-litert is missing')
    graph = tiny_tflite.Graph((1, *SIZE, 3))
    weights = np.zeros((4, 1, 1, 3), np.float32)
    scores = tiny_tflite.convolution(graph, weights, (2, 1, 0, 3), 2)
    file = graph.write(
        tmp_path / 'net.tflite', [tiny_tflite.quantise(graph, scores, scale=0.1, zero=-20)]
    )
    found = segmenter_of(file).segment(torch.from_numpy(picture()).permute(2, 0, 1))
    assert found.are_logits and not found.finished
    expected = torch.tensor([2.0, 1, 0, 3])[:, None, None].expand(4, 24, 32)
    torch.testing.assert_close(found.scores, expected)


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
        vote__mode='hard',  # masks of several classes leave the background be
    )
    result = pipeline(picture())
    assert pipeline.vocabulary.names == ('road', 'car', 'tree')
    assert (result.label_map == 0).any() and (result.label_map > 0).any()
    assert result.label_map.max() <= 3
    assert ((result.confidence > 0) == (result.label_map > 0)).all()
