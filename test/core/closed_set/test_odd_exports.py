"""Networks in files that put things otherwise than most label as the network in them does."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.settings.models import DenseSettings

onnx = pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')
ONE = replace(SETTINGS, classes='road')
UNNAMED = DenseSettings(mean='0', std='255')


class Ending(Tiny):
    """The tiny network with something made of its input and its scores."""

    def __init__(
        self,
        end: Callable[[Tensor], Any],
        begin: Callable[[Tensor], Tensor] = lambda x: x,
        ending: str = 'logits',
    ) -> None:
        super().__init__(ending)
        self.end, self.begin = end, begin

    def forward(self, x: Tensor) -> Any:
        return self.end(super().forward(self.begin(x)))


def expected() -> np.ndarray:
    return labels_of(Tiny(), batch_of(picture()))


def is_road() -> np.ndarray:
    return Tiny('one logit')(batch_of(picture()))[0, 0].detach().numpy() > 0


@pytest.mark.parametrize(
    'end',
    [
        lambda x: (functional.avg_pool2d(x, 2).flip(1), x),  # a coarse helper of the training
        lambda x: (torch.cat([x, x, x], 1), x),  # features
        lambda x: (x.mean((2, 3)), x),  # a class of the whole image
        lambda x: (x.argmax(1), x),  # finished classes say less than scores
        lambda x: (x, x.flip(1)),
        lambda x: (
            functional.interpolate(x.mean(1, True).sigmoid(), scale_factor=2.0),
            x,
        ),  # depth
    ],
)
def test_of_several_outputs_that_with_the_classes_counts(
    end: Callable[[Tensor], Any], tmp_path: Path
) -> None:
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', Ending(end)))
    assert_labels(segmenter, expected())
    assert not segmenter.segment(torch.zeros(3, 8, 8, dtype=torch.uint8)).finished


def test_the_setting_says_which_output_counts(tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', Ending(lambda x: (x.flip(1), x)))
    assert_labels(segmenter_of(file, replace(SETTINGS, output=1)), expected())
    with pytest.raises(ModelError, match=r'no scores .* as output 2 \(dense.output\) of 2'):
        segmenter_of(file, replace(SETTINGS, output=2))


@pytest.mark.parametrize('end', [lambda x: x[0], lambda x: x.argmax(1)[0]])
def test_outputs_may_lack_the_batch(end: Callable[[Tensor], Any], tmp_path: Path) -> None:
    assert_labels(segmenter_of(write(tmp_path / 'net.onnx', Ending(end))), expected())


@pytest.mark.parametrize('last', [False, True])
def test_as_many_rows_as_classes_do_not_turn_the_map(last: bool, tmp_path: Path) -> None:
    rows = SIZE[0] // 2

    def spread(x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 0, 0, 0, 0, rows - 4), value=-99.0)
        return x.permute(0, 2, 3, 1) if last else x

    settings = replace(SETTINGS, classes=', '.join(f'class {i}' for i in range(rows)))
    assert_labels(segmenter_of(write(tmp_path / 'net.onnx', Ending(spread)), settings), expected())


@pytest.mark.parametrize('dtype', [torch.float16, torch.float64])
@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_pixels_and_scores_may_have_other_bits(
    backend: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    network = Ending(lambda x: x.to(dtype), begin=lambda x: x.float())
    file = write(tmp_path / 'net.onnx', network, dtype=dtype)
    with torch.no_grad():
        rounded = Tiny()(batch_of(picture()).to(dtype).float())[0].to(dtype)
    assert_labels(segmenter_of(file, backend=backend), rounded.argmax(0).numpy())


@pytest.mark.parametrize('dtype', [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_finished_classes_may_be_one_hot(dtype: torch.dtype, tmp_path: Path) -> None:
    network = Ending(lambda x: functional.one_hot(x.argmax(1), 4).permute(0, 3, 1, 2).to(dtype))
    assert_labels(segmenter_of(write(tmp_path / 'net.onnx', network)), expected())


def test_pixels_may_be_wider_integers(tmp_path: Path) -> None:
    network = Ending(lambda x: x, begin=lambda x: x.float() / 255)
    file = write(tmp_path / 'net.onnx', network, dtype=torch.int32)
    assert_labels(segmenter_of(file, replace(SETTINGS, mean='100')), expected())


def test_every_length_of_the_input_may_be_free(tmp_path: Path) -> None:
    file = tmp_path / 'net.onnx'
    torch.onnx.export(
        Tiny().requires_grad_(False),
        (torch.rand(1, 3, *SIZE),),
        file,
        dynamo=False,
        input_names=['pixels'],
        dynamic_axes={'pixels': dict(enumerate('nchw'))},
    )
    segmenter = segmenter_of(file, replace(SETTINGS, image_size=64))
    assert_labels(segmenter, labels_of(Tiny(), batch_of(picture(), (64, 96))))


def test_a_batch_of_several_is_refused(tmp_path: Path) -> None:
    file = tmp_path / 'net.onnx'
    torch.onnx.export(Tiny(), (torch.rand(4, 3, *SIZE),), file, dynamo=False)
    with pytest.raises(ModelError, match=r'takes 4 images at once.*export it for one'):
        segmenter_of(file)


@pytest.mark.parametrize('dtype', [torch.bool, torch.uint8, torch.int64, torch.float32])
@pytest.mark.parametrize('classes', ['road', 'other, road'])
def test_yes_or_no_is_one_class_or_two(classes: str, dtype: torch.dtype, tmp_path: Path) -> None:
    network = Ending(lambda x: (x[:, 0] > 0).to(dtype), ending='one logit')
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', network), replace(ONE, classes=classes))
    assert_labels(segmenter, is_road())
    assert segmenter.class_names[1] == 'road'


def test_one_logit_may_have_two_names(tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', Tiny('one logit'))
    segmenter = segmenter_of(file, replace(ONE, classes='ground, road'))
    assert_labels(segmenter, is_road())
    assert (segmenter.class_names, segmenter.left_out) == (('ground', 'road'), '')


def ignored_below_zero(x: Tensor) -> Tensor:
    best, which = x.max(1)
    return torch.where(best > 0, which, 255).to(torch.uint8)


def test_pixels_without_a_class_stay_unlabelled(tmp_path: Path) -> None:
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', Ending(ignored_below_zero)))
    assert (segmenter.class_names[4:], segmenter.left_out) == (('background',), 'background')
    scores = Tiny()(batch_of(picture()))[0].detach()
    assert (scores.max(0).values <= 0).any()
    assert_labels(segmenter, np.where(scores.max(0).values > 0, expected(), 4))


def test_a_map_with_more_classes_than_names_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', Tiny('classes'))
    with pytest.raises(ConfigError, match=r'map of classes with the number [23] in it.*names 2'):
        segmenter_of(file, replace(SETTINGS, classes='road, car'))


def test_classes_that_do_not_exclude_each_other_have_shares(tmp_path: Path) -> None:
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', Ending(lambda x: x.sigmoid())))
    assert_labels(segmenter, expected())
    found = segmenter.segment(torch.from_numpy(picture()).permute(2, 0, 1))
    assert not found.are_logits and not found.finished


def test_endings_may_be_in_capitals(tmp_path: Path) -> None:
    write(tmp_path / 'NET.ONNX', Tiny())
    for place in (tmp_path, tmp_path / 'NET.ONNX'):
        assert_labels(segmenter_of(place), expected())


@pytest.mark.parametrize(
    'notes',
    [
        {'names': "['a', 'b', 'c', 'd']"},
        {'names': '["a", "b", "c", "d"]'},
        {'names': '{"0": "a", "1": "b", "2": "c", "3": "d"}'},
    ],
)
def test_names_are_noted_as_a_list_or_by_number(notes: dict[str, str], tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', Tiny())
    graph = onnx.load(file)
    onnx.helper.set_model_props(graph, notes)
    onnx.save(graph, file)
    segmenter = segmenter_of(file, UNNAMED)
    assert segmenter.class_names == ('a', 'b', 'c', 'd')
    assert_labels(segmenter, expected())


def test_a_folder_of_optimum_names_classes_and_pixels(tmp_path: Path) -> None:
    write(tmp_path / 'model.onnx', Tiny())
    names = dict(enumerate('abcd'))
    processor = {'do_normalize': True, 'image_mean': [0.0] * 3, 'image_std': [1.0] * 3}
    (tmp_path / 'config.json').write_text(json.dumps({'model_type': 'x', 'id2label': names}))
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(processor))
    segmenter = segmenter_of(tmp_path, DenseSettings())
    assert segmenter.class_names == ('a', 'b', 'c', 'd')
    assert_labels(segmenter, expected())


@pytest.mark.parametrize('author', ['Ultralytics', 'somebody'])
def test_an_openvino_folder_of_ultralytics_names_classes(author: str, tmp_path: Path) -> None:
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    model = openvino.convert_model(write(tmp_path / 'net.onnx', Tiny()))
    folder = tmp_path / 'net_openvino_model'
    openvino.save_model(model, folder / 'net.xml', compress_to_fp16=False)
    (folder / 'metadata.yaml').write_text(f'author: {author}\nnames: {{0: a, 1: b, 2: c, 3: d}}')
    if author == 'somebody':  # it may be of anything
        with pytest.raises(ConfigError, match='names none'):
            segmenter_of(folder, DenseSettings())
        return
    segmenter = segmenter_of(folder, DenseSettings())
    assert segmenter.class_names == ('a', 'b', 'c', 'd')
    assert_labels(segmenter, expected())  # pixels in 0-1, as theirs
