"""Segmenting YOLOs of each kind of file propose in the live node what their own libraries say."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from harness import QUICK, Peer, active_node, header
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from tiny_mask_exports import SIZE, write, write_tflite
from torch import Tensor

from semantic_fast_sam_ros import SemanticFastSam
from semantic_fast_sam_ros.core.masks.exported import _read
from semantic_fast_sam_ros.ros.conversions import array_to_image

pytest.importorskip('onnx', reason='onnx is missing (requirements/test.txt)')
PARITY = 0.999  # of the pixels
NAMES = ('cat', 'dog', 'cow')
SETTINGS = {
    'masks.image_size': 96,
    'masks.confidence': 0.3,
    'masks.max_masks': 20,
    'vote.mode': 'hard',  # every mask paints, whatever it shows
    'vote.minimum_purity': 0.0,
    'trust_model_files': True,
}
QUICK_LABELS = {'dense__image_size': QUICK['dense.image_size'], 'threads': 1}  # as the node's
Run = Callable[[NDArray[np.float32]], Sequence[Any]]  # (1, 3, h, w) in 0-1 -> outputs


def _checkpoint(folder: Path) -> Path:
    return tiny.write_fastsam(folder / 'net.pt', NAMES)


def _by_ultralytics(file: Path) -> Run:
    from ultralytics import YOLO

    network = YOLO(str(file)).model.float().eval()
    return lambda batch: network(torch.from_numpy(batch))[0]


def _onnx(folder: Path) -> Path:
    return write(_checkpoint(folder), folder / 'net.onnx')


def _by_onnxruntime(file: Path) -> Run:
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    return lambda batch: session.run(None, {session.get_inputs()[0].name: batch})


def _openvino(folder: Path) -> Path:
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    place = folder / 'net_openvino_model'
    openvino.save_model(openvino.convert_model(_onnx(folder)), place / 'net.xml')
    return place


def _by_openvino(file: Path) -> Run:
    import openvino

    network = openvino.Core().compile_model(
        file / 'net.xml', 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'}
    )
    return lambda batch: list(network(batch).values())


def _tflite(folder: Path) -> Path:
    return write_tflite(folder / 'net.tflite', 'pixels', floats=True)[0]


def _tflite_in_8_bits(folder: Path) -> Path:
    return write_tflite(folder / 'net.tflite', 'pixels')[0]


def _by_litert(file: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()

    def run(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        pixels = np.ascontiguousarray(batch.transpose(0, 2, 3, 1))
        interpreter.set_tensor(interpreter.get_input_details()[0]['index'], pixels)
        interpreter.invoke()
        found = []
        for port in interpreter.get_output_details():
            scale, zero = port['quantization']
            values = interpreter.get_tensor(port['index']).astype(np.float32)
            found.append((values - zero) * scale if scale else values)
        return found

    return run


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Run]]] = {
    'pt': (_checkpoint, _by_ultralytics),
    'onnx': (_onnx, _by_onnxruntime),
    'openvino': (_openvino, _by_openvino),
    'tflite': (_tflite, _by_litert),
    'tflite in 8 bits': (_tflite_in_8_bits, _by_litert),
}


def named(settings: dict[str, object]) -> dict[str, Any]:
    """Return settings as Python's arguments name them."""
    return {name.replace('.', '__'): value for name, value in settings.items()}


def expected(file: Path, run: Run, image: NDArray[np.uint8]) -> NDArray[np.integer[Any]]:
    """Return mask ids (H, W) where the file's own library runs the network."""

    def network(batch: Tensor) -> tuple[Tensor, ...]:
        found = [torch.as_tensor(np.asarray(values)) for values in run(batch.numpy())]
        return _read(found, (int(batch.shape[2]), int(batch.shape[3])))

    values = QUICK_LABELS | named(SETTINGS)
    pipeline = SemanticFastSam.from_profile('embedded', masks__model=str(file), **values)
    pipeline._generator._network = network
    return np.asarray(pipeline(image).instances)


@pytest.mark.parametrize('kind', sorted(KINDS))
def test_live_masks_are_those_of_the_own_library(kind: str, peer: Peer, tmp_path: Path) -> None:
    make, by_its_own = KINDS[kind]
    file = make(tmp_path)
    image = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)
    with active_node(masks__model=str(file), **named(SETTINGS)):
        inbox = peer.collect(Image, '/semantic_fast_sam/instances')
        message = peer.feed(peer.camera(), array_to_image(image, 'rgb8', header()), lambda: inbox)[
            -1
        ]
    found = np.frombuffer(message.data, np.uint16).reshape(SIZE)
    assert len(np.unique(found)) > 3
    assert (found == expected(file, by_its_own(file), image)).mean() >= PARITY


class NoNumbersForWhite(torch.nn.Module):
    """Picks as an end-to-end head does, and says NaN of images that are nearly white."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        picks = torch.tensor([[[8.0, 4, 40, 36, 0.9, 1, 1, -1]]])
        return picks + (0.9 - x.mean()).sqrt(), x[:, :2, ::4, ::4] + 0.5


def test_an_image_of_which_the_network_says_no_numbers_costs_that_image_only(
    peer: Peer, tmp_path: Path
) -> None:
    file = tmp_path / 'net.onnx'
    torch.onnx.export(NoNumbersForWhite(), (torch.rand(1, 3, *SIZE),), file, dynamo=False)
    white, grey = (np.full((*SIZE, 3), value, np.uint8) for value in (255, 100))
    with active_node(masks__model=str(file), **named(SETTINGS)) as running:
        inbox, camera = peer.collect(Image, '/semantic_fast_sam/instances'), peer.camera()
        peer.feed(camera, array_to_image(white, 'rgb8', header()), lambda: running.counts.failed)
        assert not inbox
        peer.feed(camera, array_to_image(grey, 'rgb8', header()), lambda: inbox)
        assert running.counts.refused == 0
    assert np.frombuffer(inbox[-1].data, np.uint16).any()
