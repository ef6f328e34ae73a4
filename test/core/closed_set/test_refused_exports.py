"""Networks that come as a file and do not suit say why."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_exports import (
    SETTINGS,
    SIZE,
    Tiny,
    picture,
    segmenter_of,
    write,
)
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError, NetworkError

onnx = pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')


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


@pytest.mark.parametrize('name', ['FlexErf', 'TFLite_Detection_PostProcess'])
def test_tflite_files_with_foreign_operators_are_refused_by_their_name(
    name: str, tmp_path: Path
) -> None:
    tiny_tflite = pytest.importorskip('tiny_tflite', reason='ai-edge-litert is missing')
    graph = tiny_tflite.Graph((1, *SIZE, 3))
    output = graph.operator('CUSTOM', [0], graph.tensor((1, *SIZE, 3)), custom=name)
    file = graph.write(tmp_path / 'net.tflite', [output])
    with pytest.raises(ModelError, match=rf'that TFLite itself has not \({name}\): export'):
        segmenter_of(file)


def test_onnx_files_with_foreign_operators_are_refused_by_their_name(tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', Tiny())
    graph = onnx.load(file)
    graph.graph.node[-1].op_type, graph.graph.node[-1].domain = 'MyOwn', 'my.company'
    graph.opset_import.append(onnx.helper.make_opsetid('my.company', 1))
    onnx.save(graph, file)
    # Each library says it; OpenVINO in a later line of its own.
    with pytest.raises(
        ModelError, match=r'cannot be run on cpu: openvino: .*MyOwn.*; onnx.*MyOwn'
    ):
        segmenter_of(file)


def remove(data: Path, file: Path) -> None:
    data.unlink()


def cut(data: Path, file: Path) -> None:
    data.write_bytes(data.read_bytes()[:20])


def move_out(data: Path, file: Path) -> None:
    data.rename(file.parents[1] / data.name)
    graph = onnx.load(file, load_external_data=False)
    for weights in graph.graph.initializer:
        place = next(entry for entry in weights.external_data if entry.key == 'location')
        place.value = f'../{data.name}'
    file.write_bytes(graph.SerializeToString())


@pytest.mark.parametrize('spoil', [remove, cut, move_out])
def test_onnx_files_without_their_weights_are_refused(
    spoil: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    graph = onnx.load(write(tmp_path / 'whole.onnx', Tiny()))
    file = tmp_path / 'inside' / 'net.onnx'
    file.parent.mkdir()
    onnx.save(graph, file, save_as_external_data=True, location='net.data', size_threshold=0)
    spoil(file.with_name('net.data'), file)
    with pytest.raises(ModelError, match=r'net\.onnx cannot be run on cpu.*net\.data'):
        segmenter_of(file)


def test_openvino_files_without_their_weights_are_refused(tmp_path: Path) -> None:
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    file = tmp_path / 'net.xml'
    openvino.save_model(openvino.convert_model(write(tmp_path / 'net.onnx', Tiny())), file)
    weights = file.with_suffix('.bin')
    weights.write_bytes(weights.read_bytes()[:10])
    with pytest.raises(ModelError, match=r'openvino: Incorrect weights in bin file'):
        segmenter_of(file)
    weights.unlink()
    with pytest.raises(ModelError, match=r'net\.xml lacks its weights: net\.bin'):
        segmenter_of(file)


class BrainFloats(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x.float() + 1).bfloat16()


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_numbers_that_numpy_does_not_have_are_refused(backend: str, tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', BrainFloats(), dtype=torch.bfloat16)
    with pytest.raises(ModelError, match=r'of the type bf(loat)?16: export .* with float32'):
        segmenter_of(file, backend=backend)


def test_an_input_of_any_rank_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / 'net.onnx', Tiny())
    graph = onnx.load(file)
    graph.graph.input[0].type.tensor_type.ClearField('shape')
    onnx.save(graph, file)
    with pytest.raises(ModelError, match=r'\(1, 3, height, width\) or .* is wanted'):
        segmenter_of(file)


@pytest.mark.parametrize('name', ['net.xml', 'net.tflite'])
def test_another_format_than_the_ending_says_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f'its content is no {Path(name).suffix}'):
        segmenter_of(write(tmp_path / name, Tiny()))


def test_other_xml_is_no_network(tmp_path: Path) -> None:
    file = tmp_path / 'package.xml'
    file.write_text('<?xml version="1.0"?><package format="3"><name>net</name></package>')
    with pytest.raises(ModelError, match=r'its content is no \.xml'):
        segmenter_of(file)


@pytest.mark.parametrize('content', [b'....TFL3....', b'<?xml version="1.0"?><net/>'])
def test_other_formats_are_no_onnx(content: bytes, tmp_path: Path) -> None:
    (tmp_path / 'net.onnx').write_bytes(content)
    with pytest.raises(ModelError, match=r'its content is no \.onnx'):
        segmenter_of(tmp_path / 'net.onnx')


class Scores(nn.Module):
    """Puts out scores of so many classes; all but the last is 0."""

    def __init__(self, classes: int, last: float) -> None:
        super().__init__()
        self.classes, self.last = classes, last

    def forward(self, x: Tensor) -> Tensor:
        zeros = x[:, :1].expand(-1, self.classes, -1, -1) * 0
        return torch.cat([zeros[:, 1:], zeros[:, :1] + self.last], 1)


def test_no_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'puts out \(1, 0, 48, 64\): no scores'):
        segmenter_of(write(tmp_path / 'net.onnx', Scores(0, 0.0)))


def test_more_classes_than_a_byte_counts(tmp_path: Path) -> None:
    names = [f'thing {i}' for i in range(300)]
    settings = replace(SETTINGS, classes=', '.join(names))
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', Scores(300, 9.0)), settings)
    found = segmenter.segment(torch.from_numpy(picture()).permute(2, 0, 1))
    assert (found.probabilities(SIZE).argmax(0) == 299).all()


def test_scores_that_are_no_numbers_cost_the_image(tmp_path: Path) -> None:
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', Scores(4, float('nan'))))
    found = segmenter.segment(torch.from_numpy(picture()).permute(2, 0, 1))
    with pytest.raises(NetworkError, match='numbers that are none'):
        found.probabilities(SIZE)


class Map(nn.Module):
    """Puts out the first class of each pixel, as float, and something else of black ones."""

    def __init__(self, of_black: float) -> None:
        super().__init__()
        self.of_black = of_black

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x.amax(1) > 0, 1.0, self.of_black)


@pytest.mark.parametrize('of_black', [float('nan'), float('inf')])
def test_classes_that_are_no_numbers_cost_the_image(of_black: float, tmp_path: Path) -> None:
    segmenter = segmenter_of(write(tmp_path / 'net.onnx', Map(of_black)))
    segmenter.segment(torch.full((3, *SIZE), 9, dtype=torch.uint8))
    with pytest.raises(NetworkError, match='numbers that are none'):
        segmenter.segment(torch.zeros((3, *SIZE), dtype=torch.uint8))


@pytest.mark.parametrize('classes', [1, 4])
def test_a_network_without_any_number_is_refused(classes: int, tmp_path: Path) -> None:
    class Nothing(Scores):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * float('nan')

    with pytest.raises(ModelError, match='nothing but numbers that are none'):
        segmenter_of(write(tmp_path / 'net.onnx', Nothing(classes, 1.0)))


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
