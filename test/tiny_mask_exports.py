"""Write tiny segmenting YOLOs as files of other tools."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.masks.fastsam import load_ultralytics

SIZE = (64, 96)  # of the images that the ONNX files take


def write(checkpoint: Path, file: Path, free: bool = False) -> Path:
    """Export a checkpoint to ONNX as ultralytics does."""
    network = load_ultralytics(checkpoint, 'segment')
    head = network.model[-1]
    head.export, head.format, head.dynamic = True, 'onnx', free
    axes = {'images': {2: 'height', 3: 'width'}} if free else None
    torch.onnx.export(
        network,
        (torch.rand(1, 3, *SIZE),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=['images'],
        dynamic_axes=axes,
    )
    return file


def write_tflite(file: Path, boxes_in: str, floats: bool = False) -> tuple[Path, Tensor, Tensor]:
    """Write a network that says the same of each image; returns what that means.

    Args:
        file: to write.
        boxes_in: pixels, or something else for shares of the image.
        floats: put out as they are, not in int8.
    """
    tiny_tflite = pytest.importorskip('tiny_tflite', reason='ai-edge-litert is missing')
    graph = tiny_tflite.Graph((1, 32, 32, 3))
    anchors, coefficients = 16 + 4 + 1, 2
    rng = np.random.default_rng(0)
    said = rng.uniform(0, 0.9, (1, 4 + 3 + coefficients, anchors)).astype(np.float32)
    if boxes_in == 'pixels':
        said[:, :4] *= 32
    maps = tiny_tflite.convolution(graph, np.zeros((2, 1, 1, 3), np.float32), (1, -1), 4)
    # The image times nothing, so that it counts as used.
    mean = graph.operator(
        'MEAN',
        [0, graph.constant(np.array([1, 2, 3], np.int32))],
        graph.tensor((1,)),
        kind='ReducerOptions',
    )
    still = graph.operator(
        'MUL',
        [mean, graph.constant(np.zeros(1, np.float32))],
        graph.tensor((1,)),
        kind='MulOptions',
    )
    both = [still, graph.constant(said)]
    listed = graph.operator('ADD', both, graph.tensor(said.shape), kind='AddOptions')
    prototypes = torch.tensor([1.0, -1.0])[None, :, None, None].expand(1, 2, 8, 8)
    if floats:
        return graph.write(file, [listed, maps]), torch.from_numpy(said), prototypes
    scale = 0.25 if boxes_in == 'pixels' else 0.004
    outputs = [
        tiny_tflite.quantise(graph, listed, scale, -128),
        tiny_tflite.quantise(graph, maps, 0.01, 5),
    ]
    rounded = torch.from_numpy(np.round(said / scale) * scale)
    return graph.write(file, outputs), rounded, prototypes
