"""Networks run by ONNX Runtime: those in torch are converted to ONNX, others come as files."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import conversions
from semantic_fast_sam_ros.core.networks.conversions import ANY, IMAGE, Build, Shape
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Array, Port, numpy_type

# ONNX Runtime's words where NumPy has others.
NUMPY_TYPES = {'float': 'float32', 'double': 'float64'}


class OnnxSession:
    """A network in an ONNX file."""

    def __init__(self, file: Path, runtime: Runtime) -> None:
        """Open it; raises ModelError if the ONNX Runtime that is installed cannot run it there."""
        import onnxruntime as untyped_onnxruntime

        onnxruntime: Any = untyped_onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        providers = _providers(runtime)
        self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        self.inputs = tuple(_port(port) for port in self._session.get_inputs())
        self.outputs = tuple(_port(port) for port in self._session.get_outputs())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._name = next((port.name for port in self._session.get_inputs()), '')

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch."""
        found: list[Array] = self._session.run(None, {self._name: batch})
        return found


def _port(port: Any) -> Port:
    name = port.type.removeprefix('tensor(').removesuffix(')')
    # A dimension that may change has a name.
    shape = tuple(side if isinstance(side, int) else None for side in port.shape)
    return Port(shape, numpy_type(NUMPY_TYPES.get(name, name)))


def _providers(runtime: Runtime) -> list[tuple[str, dict[str, Any]]]:
    """Return what ONNX Runtime is to run a network with, and its options.

    Raises:
        ModelError: the one that is installed cannot do it.
    """
    import onnxruntime

    options: dict[str, Any] = {}
    if runtime.backend == 'tensorrt':
        name, folder = 'TensorrtExecutionProvider', str(conversions.engines_folder())
        options = {'trt_engine_cache_enable': True, 'trt_engine_cache_path': folder}
        options['trt_fp16_enable'] = True
    else:
        name = 'CUDAExecutionProvider' if runtime.device.type == 'cuda' else 'CPUExecutionProvider'
    if name not in onnxruntime.get_available_providers():
        raise ModelError(f'this onnxruntime lacks {name}: the package onnxruntime-gpu has it')
    return [(name, options)]


class OnnxNetwork:
    """A network of torch, converted to ONNX."""

    outside_torch = True

    def __init__(self, build: Build, source: Path, runtime: Runtime, shape: Shape) -> None:
        """Convert, or take the conversion of an earlier run."""
        file = conversions.engine_file(source, 'onnx')
        if not file.is_file():
            export_onnx(build(), file, shape)
        self._session = OnnxSession(file, runtime)
        self.class_names = conversions.noted_names(file, build)
        self._device = runtime.device
        self.takes_batches = self._session.inputs[0].shape[0] is None

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run the network on a batch of the shape that it was converted for."""
        found = self._session(batch.float().contiguous().cpu().numpy())
        return tuple(torch.from_numpy(values).to(self._device, batch.dtype) for values in found)


def export_onnx(module: nn.Module, file: Path, shape: Shape = IMAGE) -> None:
    """Write a network as ONNX, for batches of a shape."""
    names = ('images', 'channels', 'height', 'width')
    axes = {i: names[i] for i, length in enumerate(shape) if length == ANY}
    example, note = conversions.example(shape), conversions.note(file)
    with conversions.traceable(module), conversions.written(file, note) as partial:
        conversions.note_names(partial, module)
        torch.onnx.export(
            module,
            (example,),
            partial,
            dynamo=False,
            input_names=['batch'],
            dynamic_axes={'batch': axes},
            opset_version=17,
        )
