"""Networks that come as a file of another tool: ONNX, OpenVINO's IR, TFLite."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import engines
from semantic_fast_sam_ros.core.networks.runtime import Runtime

# ONNX Runtime's words where NumPy has others.
ONNX_TYPES = {'float': 'float32', 'double': 'float64'}
Array = NDArray[Any]


@dataclass(frozen=True)
class Port:
    """An input or an output of a network, as its file declares it."""

    shape: tuple[int | None, ...]  # None where any length will do
    dtype: np.dtype[Any]
    # Of quantised numbers: value = (number - zero) * scale. Not known where the scale is 0.
    scale: float = 0.0
    zero: int = 0


class ExportedNetwork(Protocol):
    """A network in a file, and what the file says of it."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: dict[str, str]

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch of the first input's shape and type; all outputs, as declared."""
        ...


def open_exported(file: Path, runtime: Runtime) -> ExportedNetwork:
    """Open a network for a device; nothing in the file is run as code.

    Raises:
        ModelError: no library here can run it there, or the file is damaged or another kind.
    """
    problems = []
    for name in _libraries(file, runtime):
        if importlib.util.find_spec(name.partition('.')[0]) is None:
            problems.append(f'{name.partition(".")[0]} is not installed')
            continue
        try:
            opened: ExportedNetwork = OPENERS[name](file, runtime)
            return opened
        except Exception as error:  # whatever the libraries raise
            lines = [line for line in str(error).splitlines() if line.strip()]
            # OpenVINO begins with where in its own code it was.
            reason = next((x for x in lines if not x.startswith('Exception from')), 'unreadable')
            problems.append(f'{name.partition(".")[0]}: {reason.strip()}')
    raise ModelError(f'{file} cannot be run on {runtime.device}: {"; ".join(problems)}')


def _libraries(file: Path, runtime: Runtime) -> list[str]:
    """Return what may run a file, best first."""
    if runtime.backend in ('torch', 'compile'):
        raise ModelError(
            f'{file.name} is an exported network: torch cannot run it; leave backend at auto'
        )
    on_cpu = runtime.device.type == 'cpu'
    able = {
        '.onnx': ['openvino', 'onnxruntime'] if on_cpu else ['onnxruntime'],
        '.xml': ['openvino'] if on_cpu else [],
        '.tflite': ['openvino', 'ai_edge_litert'] if on_cpu else [],
    }[file.suffix]
    wanted = 'onnxruntime' if runtime.backend == 'tensorrt' else runtime.backend
    chosen = [name for name in able if wanted in ('auto', name) or name == 'ai_edge_litert']
    if not chosen:
        raise ModelError(
            f'{file.name} cannot be run by backend {runtime.backend} on {runtime.device}'
            + ('' if file.suffix == '.onnx' else ': convert it to .onnx, or set device to cpu')
        )
    return chosen


class OpenVinoFile:
    """A file that OpenVINO runs on the CPU."""

    def __init__(self, file: Path, runtime: Runtime) -> None:
        """Read and compile it."""
        graph = engines.read_openvino(file)
        self.inputs = tuple(_openvino_port(port) for port in graph.inputs)
        self.outputs = tuple(_openvino_port(port) for port in graph.outputs)
        # What an ONNX file says of itself; an IR that was made from one says it, too.
        noted = graph.rt_info['framework'] if graph.has_rt_info('framework') else {}
        self.metadata = {str(key): str(noted[key].astype(str)) for key in noted}
        self._network = engines.compile_openvino(file, runtime)

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch."""
        request = self._network.create_infer_request()
        request.infer({0: batch}, share_inputs=True)
        return [request.get_output_tensor(i).data.copy() for i in range(len(self.outputs))]


def _openvino_port(port: Any) -> Port:
    shape = tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape)
    return Port(shape, np.dtype(port.element_type.to_dtype()))


class OnnxFile:
    """A file that ONNX Runtime runs."""

    def __init__(self, file: Path, runtime: Runtime) -> None:
        """Read it."""
        import onnxruntime as untyped_onnxruntime

        onnxruntime: Any = untyped_onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        providers = engines.onnx_providers(runtime)
        self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        self.inputs = tuple(_onnx_port(port) for port in self._session.get_inputs())
        self.outputs = tuple(_onnx_port(port) for port in self._session.get_outputs())
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch."""
        found: list[Array] = self._session.run(None, {self._session.get_inputs()[0].name: batch})
        return found


def _onnx_port(port: Any) -> Port:
    name = port.type.removeprefix('tensor(').removesuffix(')')
    shape = tuple(side if isinstance(side, int) else None for side in port.shape)
    return Port(shape, np.dtype(ONNX_TYPES.get(name, name)))


class LiteRtFile:
    """A file that LiteRT, the TFLite interpreter, runs on the CPU."""

    def __init__(self, file: Path, runtime: Runtime) -> None:
        """Read it."""
        from ai_edge_litert import interpreter as untyped_interpreter

        litert: Any = untyped_interpreter
        self._interpreter = litert.Interpreter(str(file), num_threads=torch.get_num_threads())
        self._interpreter.allocate_tensors()
        self._ins = self._interpreter.get_input_details()
        self._outs = self._interpreter.get_output_details()
        self.inputs = tuple(_litert_port(port) for port in self._ins)
        self.outputs = tuple(_litert_port(port) for port in self._outs)
        self.metadata: dict[str, str] = {}

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch."""
        self._interpreter.set_tensor(self._ins[0]['index'], batch)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(port['index']) for port in self._outs]


def _litert_port(port: Any) -> Port:
    shape = tuple(None if side < 0 else int(side) for side in port['shape_signature'])
    return Port(shape, np.dtype(port['dtype']), *port['quantization'])


OPENERS: dict[str, Any] = {
    'openvino': OpenVinoFile,
    'onnxruntime': OnnxFile,
    'ai_edge_litert': LiteRtFile,
}
