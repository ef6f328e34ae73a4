"""Networks in files of other tools label in the live node as their own libraries do."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness import Diagnosis, Peer, RunningNode, active_node, header
from lifecycle_msgs.msg import State
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.ros.conversions import array_to_image

pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')
SIZE = (64, 96)  # of the image and of what the networks take
PARITY = 0.999  # of the pixels
Labels = NDArray[np.integer[Any]]
# One class a colour: the channel that a pixel has most of.
WEIGHTS = np.eye(3, dtype=np.float32) + np.float32(0.01)


def patches() -> NDArray[np.uint8]:
    """An image of patches, noisy, with more of one colour in each."""
    rng = np.random.default_rng(3)
    colours = np.eye(3, dtype=np.uint8)[rng.integers(0, 3, (SIZE[0] // 8, SIZE[1] // 8))] * 100
    noise = rng.integers(0, 80, (*SIZE, 3), np.uint8)
    return noise + colours.repeat(8, 0).repeat(8, 1)


def _unit(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (image.astype(np.float32) / 255)[None]


def _onnx(folder: Path) -> Path:
    layer = torch.nn.Conv2d(3, 3, 1, bias=False).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(WEIGHTS)[:, :, None, None])
    file = folder / 'net.onnx'
    torch.onnx.export(layer, (torch.rand(1, 3, *SIZE),), file, dynamo=False)
    return file


def _onnx_labels(file: Path, image: NDArray[np.uint8]) -> Labels:
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    batch = np.ascontiguousarray(_unit(image).transpose(0, 3, 1, 2))
    found = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return np.asarray(found[0].argmax(0))


def _xml(folder: Path) -> Path:
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    openvino.save_model(openvino.convert_model(_onnx(folder)), folder / 'net.xml')
    return folder / 'net.xml'


def _folder(folder: Path) -> Path:
    _xml(folder)
    place = folder / 'net'
    place.mkdir()
    for file in folder.glob('net.[xb]*'):
        file.rename(place / file.name)
    return place


def _xml_labels(file: Path, image: NDArray[np.uint8]) -> Labels:
    return _onnx_labels(file.with_suffix('.onnx'), image)


def _tflite(folder: Path) -> Path:
    tiny_tflite = pytest.importorskip('tiny_tflite', reason='ai-edge-litert is missing')
    graph = tiny_tflite.Graph((1, *SIZE, 3))
    scores = tiny_tflite.convolution(graph, WEIGHTS[:, None, None], np.zeros(3), 1)
    return Path(graph.write(folder / 'net.tflite', [scores]))


def _tflite_in_8_bits(folder: Path) -> Path:
    tiny_tflite = pytest.importorskip('tiny_tflite', reason='ai-edge-litert is missing')
    graph = tiny_tflite.Graph((1, *SIZE, 3), 'uint8', 1 / 255)
    pixels = tiny_tflite.dequantise(graph, 0)
    scores = tiny_tflite.convolution(graph, WEIGHTS[:, None, None], np.zeros(3), 1, pixels)
    output = tiny_tflite.quantise(graph, scores, 1 / 128, -128)
    return Path(graph.write(folder / 'net.tflite', [output]))


def _tflite_labels(file: Path, image: NDArray[np.uint8]) -> Labels:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    port = interpreter.get_input_details()[0]
    batch = image[None] if port['dtype'] == np.uint8 else _unit(image)
    interpreter.set_tensor(port['index'], batch)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]['index'])
    return np.asarray(found[0].argmax(2))


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[..., Labels]]] = {
    'onnx': (_onnx, _onnx_labels),
    'xml': (_xml, _xml_labels),
    'folder': (_folder, _xml_labels),
    'tflite': (_tflite, _tflite_labels),
    'tflite in 8 bits': (_tflite_in_8_bits, _tflite_labels),
}


def node_with(file: Path) -> AbstractContextManager[RunningNode]:
    """Give a node, active, with a network of three classes, whose masks do not paint."""
    return active_node(
        dense__model=str(file),
        dense__classes='red, green, blue',
        dense__mean='0',
        dense__std='255',
        vocabulary='',
        vote__mode='hard',
        vote__maximum_mask_share=0.0,
    )


@pytest.mark.parametrize('kind', sorted(KINDS))
def test_live_labels_are_those_of_the_own_library(kind: str, peer: Peer, tmp_path: Path) -> None:
    write, labels = KINDS[kind]
    file, image = write(tmp_path), patches()
    with node_with(file):
        inbox = peer.collect(Image, '/semantic_fast_sam/label_image')
        message = peer.feed(peer.camera(), array_to_image(image, 'rgb8', header()), lambda: inbox)[
            -1
        ]
    assert message.encoding == 'mono8'
    found = np.frombuffer(message.data, np.uint8).reshape(SIZE)
    assert len(np.unique(found)) > 1
    assert (found == labels(file, image) + 1).mean() >= PARITY


def cut_off(folder: Path) -> Path:
    file = _onnx(folder)
    file.write_bytes(file.read_bytes()[:100])
    return file


def misnamed(folder: Path) -> Path:
    return _onnx(folder).rename(folder / 'net.tflite')


def of_another_company(folder: Path) -> Path:
    import onnx

    file = _onnx(folder)
    graph = onnx.load(file)
    graph.graph.node[-1].op_type, graph.graph.node[-1].domain = 'MyOwn', 'my.company'
    graph.opset_import.append(onnx.helper.make_opsetid('my.company', 1))
    onnx.save(graph, file)
    return file


@pytest.mark.parametrize(
    ('write', 'reason'),
    [
        (cut_off, 'cannot be run on cpu'),
        (misnamed, 'its content is no .tflite'),
        (of_another_company, 'MyOwn'),
    ],
)
@pytest.mark.parametrize('setting', ['dense__model', 'masks__model'])
def test_a_file_of_no_use_fails_configure_with_the_reason(
    setting: str,
    write: Callable[[Path], Path],
    reason: str,
    diagnosis: Diagnosis,
    peer: Peer,
    tmp_path: Path,
) -> None:
    settings = {'dense__classes': 'red, green, blue', 'vocabulary': ''}
    running = RunningNode(**settings, **{setting: str(write(tmp_path))})
    try:
        diagnosis.until_message('cannot configure', reason)
        assert peer.state() == State.PRIMARY_STATE_UNCONFIGURED
    finally:
        running.close()


class NoNumbersForWhite(torch.nn.Module):
    """Says NaN of images that are nearly white."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + (0.9 - x.mean()).sqrt()


def test_an_image_of_which_the_network_says_no_numbers_costs_that_image_only(
    peer: Peer, tmp_path: Path
) -> None:
    file = tmp_path / 'net.onnx'
    torch.onnx.export(NoNumbersForWhite(), (torch.rand(1, 3, *SIZE),), file, dynamo=False)
    white = np.full((*SIZE, 3), 255, np.uint8)
    with node_with(file) as running:
        inbox, camera = peer.collect(Image, '/semantic_fast_sam/label_image'), peer.camera()
        peer.feed(camera, array_to_image(white, 'rgb8', header()), lambda: running.counts.failed)
        assert not inbox
        peer.feed(camera, array_to_image(patches(), 'rgb8', header()), lambda: inbox)
        assert running.counts.refused == 0
    assert np.frombuffer(inbox[-1].data, np.uint8).any()
