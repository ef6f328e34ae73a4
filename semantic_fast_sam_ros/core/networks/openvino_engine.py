"""Networks run by OpenVINO on CPUs: those in torch are converted to it, others come as files."""

import contextlib
import functools
import importlib.util
import logging
import os
import queue
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import conversions
from semantic_fast_sam_ros.core.networks.conversions import IMAGE, Build, Shape
from semantic_fast_sam_ros.core.networks.recording import Recorder
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Array, Port, no_numbers, numpy_type

log = logging.getLogger(__name__)


def openvino() -> Any:
    """Import OpenVINO without the telemetry that it would send to its maker."""
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
    import openvino

    return openvino


@functools.cache
def _core(process_id: int) -> Any:
    """Return what OpenVINO compiles with, one a process: its threads do not outlive a fork.

    It stays. OpenVINO gives the thread that makes the first one another stack for signals, and
    frees it with the last one, from whatever thread: a signal would end the process then.
    """
    return openvino().Core()


class OpenVinoSession:
    """A compiled network, and requests for as many images at once as it is to serve."""

    def __init__(self, network: Path | Any, runtime: Runtime) -> None:
        """Compile a file of ours, whose name tells its content, or a graph that was read."""
        self.images_at_once = runtime.images_at_once
        compiled = _compile(network, runtime)
        self.inputs = tuple(_port(port) for port in compiled.inputs)
        self.outputs = tuple(_port(port) for port in compiled.outputs)
        self.metadata: dict[str, str] = {}
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.images_at_once):
            self._idle.put(compiled.create_infer_request())

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch."""
        request = self._idle.get()
        try:
            request.infer({0: batch}, share_inputs=True)
            found = (request.get_output_tensor(i).data for i in range(len(self.outputs)))
            return [values.copy() for values in found]
        finally:
            self._idle.put(request)


def open_file(file: Path, runtime: Runtime) -> OpenVinoSession:
    """Open a file of another tool, with what it says of itself."""
    graph = _core(os.getpid()).read_model(file)
    # As a graph: what is kept of a file goes by its name and time, which another may have.
    session = OpenVinoSession(graph, runtime)
    # What an ONNX file says of itself; an IR that was made from one says it, too.
    noted = graph.rt_info['framework'] if graph.has_rt_info('framework') else {}
    session.metadata = {str(key): str(noted[key].astype(str)) for key in noted}
    return session


def _compile(network: Path | Any, runtime: Runtime) -> Any:
    """Compile a network for the CPU; the outcome is kept, and saves seconds the next time."""
    at_once = runtime.images_at_once
    options = {
        'NUM_STREAMS': at_once,
        'INFERENCE_NUM_THREADS': at_once if at_once > 1 else torch.get_num_threads(),
        'INFERENCE_PRECISION_HINT': 'f32',
    }
    core, kept = _core(os.getpid()), {'CACHE_DIR': str(conversions.engines_folder() / 'compiled')}
    with contextlib.suppress(RuntimeError):  # no such folder can be made or written to
        return core.compile_model(network, 'CPU', {**options, **kept})
    return core.compile_model(network, 'CPU', options)


def _port(port: Any) -> Port:
    shape = tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape)
    found = port.element_type.to_dtype()
    if openvino().Type(found) != port.element_type:  # float16 for bfloat16, bytes for fewer bits
        raise no_numbers(port.element_type.get_type_name())
    return Port(shape, numpy_type(found.name))


class OpenVinoNetwork:
    """A network of torch, converted to OpenVINO."""

    outside_torch = True

    def __init__(self, build: Build, source: Path, runtime: Runtime, shape: Shape) -> None:
        """Convert, or take the conversion of an earlier run, or the 8-bit form."""
        allowed = runtime.precision in ('auto', 'int8')
        eight_bits = conversions.int8_file(source) if allowed else None
        file = eight_bits or conversions.openvino_file(source)
        if not file.is_file():
            log.info('converting %s for OpenVINO, once', source.name)
            export_openvino(build(), file, shape)
        self.class_names = conversions.noted_names(file, build)
        self._session = OpenVinoSession(file, runtime)
        self.images_at_once = runtime.images_at_once
        self.takes_batches = self._session.inputs[0].shape[0] is None

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run the network on a float32 batch of the shape that it was converted for."""
        return tuple(map(torch.from_numpy, self._session(batch.contiguous().numpy())))


def export_openvino(module: nn.Module, file: Path, shape: Shape = IMAGE) -> None:
    """Write a network as OpenVINO's .xml and .bin, for batches of a shape."""
    library, example = openvino(), conversions.example(shape)
    with conversions.traceable(module):
        model = library.convert_model(module, example_input=example, input=[list(shape)])
    _save(model, file, module, compress_to_fp16=False)


def export_int8(network: Recorder) -> Path:
    """Write a network's 8-bit form to the cache: post-training quantisation by NNCF.

    Args:
        network: with batches of some hundred images of the kind that it will see.

    Returns:
        the .xml file; its .bin and .json lie beside it.

    Raises:
        ModelError: NNCF is not installed.
    """
    if importlib.util.find_spec('nncf') is None:
        raise ModelError('making an 8-bit form takes NNCF: pip install nncf')
    openvino()
    import nncf as untyped_nncf

    nncf: Any = untyped_nncf
    plain = conversions.openvino_file(network.source)
    if not plain.is_file():
        export_openvino(network.module, plain, network.shape)
    model = _core(os.getpid()).read_model(plain)
    convolutions = [op for op in model.get_ordered_ops() if 'Convolution' in op.get_type_name()]
    quantised = nncf.quantize(
        model,
        nncf.Dataset([batch.numpy() for batch in network.batches]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(network.batches),
        ignored_scope=nncf.IgnoredScope(
            names=[op.get_friendly_name() for op in convolutions[: network.exact]]
        ),
    )
    file = conversions.int8_target(network.source)
    _save(quantised, file, network.module)
    return file


def _save(model: Any, file: Path, module: nn.Module, **options: bool) -> None:
    companions = (file.with_suffix('.bin'), conversions.note(file))
    with conversions.written(file, *companions) as partial:
        openvino().save_model(model, partial, **options)
        conversions.note_names(partial, module)
