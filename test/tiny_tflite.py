"""Write tiny TFLite networks, operator by operator."""

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as untyped_schema
from numpy.typing import NDArray

schema: Any = untyped_schema
TYPES = {'float32': 'FLOAT32', 'int32': 'INT32', 'int8': 'INT8', 'uint8': 'UINT8'}


class Graph:
    """A network that grows; tensors go by their number."""

    def __init__(self, shape: tuple[int, ...], dtype: str = 'float32', scale: float = 0.0) -> None:
        """Begin with an input; quantised where it has a scale."""
        self._model, self._graph = schema.ModelT(), schema.SubGraphT()
        self._model.version, self._model.subgraphs = 3, [self._graph]
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph.tensors, self._graph.operators = [], []
        self._graph.inputs = [self.tensor(shape, dtype, scale)]

    def tensor(
        self, shape: tuple[int, ...], dtype: str = 'float32', scale: float = 0.0, zero: int = 0
    ) -> int:
        """Add a tensor that an operator will fill; quantised where it has a scale."""
        tensor = schema.TensorT()
        tensor.shape, tensor.name = list(shape), f't{len(self._graph.tensors)}'.encode()
        tensor.type, tensor.buffer = getattr(schema.TensorType, TYPES[dtype]), 0
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, values: NDArray[Any]) -> int:
        """Add a tensor of known values."""
        number, buffer = self.tensor(values.shape, str(values.dtype)), schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[number].buffer = len(self._model.buffers) - 1
        return number

    def operator(
        self, name: str, inputs: list[int], output: int, custom: str = '', **options: Any
    ) -> int:
        """Add an operator by its name in the schema, such as CONV_2D; returns its output."""
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.customCode = min(code.builtinCode, 127), custom or None
        code.version = 1
        self._model.operatorCodes.append(code)
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        if kind := options.pop('kind', ''):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f'{kind}T')()
            vars(operator.builtinOptions).update(options)
        self._graph.operators.append(operator)
        return output

    def write(self, file: Path, outputs: list[int]) -> Path:
        """Write the network with these outputs."""
        self._graph.outputs = outputs
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), b'TFL3')
        file.write_bytes(bytes(builder.Output()))
        return file


def convolution(
    graph: Graph, weights: NDArray[np.float32], bias: Any, stride: int, source: int = 0
) -> int:
    """Add a convolution of a tensor by weights (out, h, w, in), padded as TFLite's SAME."""
    shape = graph._graph.tensors[source].shape
    output = graph.tensor((1, shape[1] // stride, shape[2] // stride, len(weights)))
    inputs = [source, graph.constant(weights), graph.constant(np.asarray(bias, np.float32))]
    options = {'strideH': stride, 'strideW': stride, 'padding': schema.Padding.SAME}
    options |= {'dilationHFactor': 1, 'dilationWFactor': 1}
    return graph.operator('CONV_2D', inputs, output, kind='Conv2DOptions', **options)


def dequantise(graph: Graph, tensor: int) -> int:
    """Add what a quantised tensor means, float32."""
    output = graph.tensor(tuple(graph._graph.tensors[tensor].shape))
    return graph.operator('DEQUANTIZE', [tensor], output, kind='DequantizeOptions')


def quantise(graph: Graph, tensor: int, scale: float, zero: int) -> int:
    """Add the quantisation of a tensor to int8."""
    shape = tuple(graph._graph.tensors[tensor].shape)
    output = graph.tensor(shape, 'int8', scale, zero)
    return graph.operator('QUANTIZE', [tensor], output, kind='QuantizeOptions')
