"""Run the networks with OpenVINO, ONNX Runtime, TensorRT or torch.compile instead of plain torch.

Where it is not torch that runs it, a network is converted once, for all batches that it will be
given, and kept in the cache folder under the checksum of its weights.
"""

import contextlib
import functools
import importlib.metadata
import importlib.util
import json
import logging
import os
import queue
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.base.folders import cache_folder, resource_folder
from semantic_fast_sam_ros.core.networks.batching import Network, class_names
from semantic_fast_sam_ros.core.networks.checksums import checksum
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.torch_compile import CompiledNetwork

LIBRARIES = {
    'compile': 'torch',
    'openvino': 'openvino',
    'onnxruntime': 'onnxruntime',
    'tensorrt': 'onnxruntime',
}
ANY = -1
IMAGE = (1, 3, ANY, ANY)  # the shape of a batch of one image of any size
EXAMPLE = (2, 3, 256, 320)  # what stands for ANY while a network is traced
Shape = tuple[int, int, int, int]
Build = Callable[[], nn.Module]
log = logging.getLogger(__name__)


def load_network(
    build: Build, source: Path, runtime: Runtime, shape: Shape = IMAGE, exact: int = 0
) -> Network:
    """Return what runs a network.

    Args:
        build: makes the network in torch: a batch in, a tuple of tensors out. Called only where
            torch runs it or it is still to be converted.
        source: the file or folder that its weights came from.
        runtime: its backend and precision are as the settings of these names say.
        shape: of the batches, with ANY for what may differ between them.
        exact: so many of its first convolutions keep their numbers in an 8-bit form.

    Returns:
        the network on the backend, its `class_names` as torch's has them; on torch, with a
        warning, where it cannot be converted.

    Raises:
        ModelError: the backend is not installed, is not for this device, or an 8-bit form was
            asked for and there is none.
    """
    module = functools.cache(lambda: build().eval())
    if _recording is not None:
        _recording.append(Recorder(module(), source, shape, exact))
        return _recording[-1]
    name = _backend(source, runtime)
    if runtime.precision == 'int8' and (name != 'openvino' or int8_file(source) is None):
        raise ModelError(
            f'{source.name} cannot run in 8 bits: only OpenVINO on a CPU can (backend auto or '
            'openvino), with a form that ships or that `export --int8` has made'
        )
    if name == 'torch':
        return module()
    if name == 'openvino' and not _suits_openvino(runtime):
        raise ModelError(
            f'backend openvino runs on the CPU in fp32 or int8, not on {runtime.device} in '
            f'{runtime.dtype}'
        )
    if not _installed(LIBRARIES[name]):
        raise ModelError(f'backend {name} is not installed: pip install {LIBRARIES[name]}')
    try:
        return ENGINES[name](module, source, runtime, shape)
    except ModelError:
        raise
    except Exception as error:  # whatever the exporters and libraries raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        log.warning('%s cannot run %s, torch does: %s', name, source.name, reason)
        return module()


def _backend(source: Path, runtime: Runtime) -> str:
    if runtime.backend != 'auto':
        return runtime.backend
    ready = _suits_openvino(runtime) and _installed('openvino') and _worth_converting(source)
    return 'openvino' if ready else 'torch'


def _suits_openvino(runtime: Runtime) -> bool:
    return runtime.device.type == 'cpu' and runtime.dtype == torch.float32


@dataclass(frozen=True)
class Recorder:
    """A network on torch that keeps what it is given."""

    module: nn.Module
    source: Path
    shape: Shape = IMAGE
    exact: int = 0  # of its first convolutions, in an 8-bit form
    batches: list[Tensor] = field(default_factory=list)

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run the network on a batch (N, 3, h, w)."""
        self.batches.append(batch.cpu().clone())
        found: tuple[Tensor, ...] = self.module(batch)
        return found


_recording: list[Recorder] | None = None


@contextlib.contextmanager
def recording() -> Iterator[list[Recorder]]:
    """Collect the networks that are loaded meanwhile, and later their batches."""
    global _recording
    _recording = []
    try:
        yield _recording
    finally:
        _recording = None


class OpenVinoNetwork:
    """A network compiled by OpenVINO for the CPU."""

    outside_torch = True

    def __init__(self, build: Build, source: Path, runtime: Runtime, shape: Shape) -> None:
        """Convert, or take the conversion of an earlier run, or the 8-bit form."""
        eight_bits = int8_file(source) if runtime.precision in ('auto', 'int8') else None
        file = eight_bits or _openvino_file(source)
        if not file.is_file():
            log.info('converting %s for OpenVINO, once', source.name)
            export_openvino(build(), file, shape)
        self.images_at_once = runtime.images_at_once
        self.class_names = _noted_names(file, build)
        model = compile_openvino(file, runtime)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.images_at_once):
            self._idle.put(model.create_infer_request())
        self.takes_batches = bool(model.inputs[0].partial_shape[0].is_dynamic)
        self._outputs = len(model.outputs)

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run the network on a float32 batch of the shape that it was converted for."""
        request = self._idle.get()
        try:
            request.infer({0: batch.contiguous().numpy()}, share_inputs=True)
            found = (request.get_output_tensor(i).data for i in range(self._outputs))
            return tuple(torch.from_numpy(values.copy()) for values in found)
        finally:
            self._idle.put(request)


class OnnxNetwork:
    """A network run by ONNX Runtime."""

    outside_torch = True

    def __init__(
        self,
        build: Build,
        source: Path,
        runtime: Runtime,
        shape: Shape,
    ) -> None:
        """Convert, or take the conversion of an earlier run."""
        import onnxruntime as untyped_onnxruntime

        onnxruntime: Any = untyped_onnxruntime
        file = engine_file(source, 'onnx')
        if not file.is_file():
            export_onnx(build(), file, shape)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        providers = onnx_providers(runtime)
        self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        self.class_names = _noted_names(file, build)
        self._device = runtime.device
        # A dimension that may change has a name.
        self.takes_batches = not isinstance(self._session.get_inputs()[0].shape[0], int)

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run the network on a batch of the shape that it was converted for."""
        found = self._session.run(None, {'batch': batch.float().contiguous().cpu().numpy()})
        return tuple(torch.from_numpy(values).to(self._device, batch.dtype) for values in found)


def _compiled(build: Build, source: Path, runtime: Runtime, _: Shape) -> Network:
    return CompiledNetwork(build(), source, runtime)


ENGINES: dict[str, Callable[[Build, Path, Runtime, Shape], Network]] = {
    'compile': _compiled,
    'openvino': OpenVinoNetwork,
    'onnxruntime': OnnxNetwork,
    'tensorrt': OnnxNetwork,
}


def engine_file(source: Path, ending: str) -> Path:
    """Return the file in the cache that holds a conversion of a network."""
    folder = cache_folder() / 'engines'
    return folder / f'{_stem(source)}-torch{torch.__version__}.{ending}'


def _worth_converting(source: Path) -> bool:
    """Say whether `auto` may convert: what ships takes seconds, others wait to be asked for."""
    ships = source.resolve().is_relative_to(resource_folder('models').resolve())
    return ships or _openvino_file(source).is_file() or int8_file(source) is not None


def _openvino() -> Any:
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
    return _openvino().Core()


def read_openvino(file: Path) -> Any:
    """Return a network in a file that OpenVINO reads, not compiled."""
    return _core(os.getpid()).read_model(file)


def compile_openvino(file: Path, runtime: Runtime) -> Any:
    """Compile a network for the CPU; the outcome is kept, and saves seconds the next time."""
    at_once = runtime.images_at_once
    options = {
        'NUM_STREAMS': at_once,
        'INFERENCE_NUM_THREADS': at_once if at_once > 1 else torch.get_num_threads(),
        'INFERENCE_PRECISION_HINT': 'f32',
    }
    core, kept = _core(os.getpid()), {'CACHE_DIR': str(cache_folder() / 'engines' / 'compiled')}
    with contextlib.suppress(RuntimeError):  # no such folder can be made or written to
        return core.compile_model(file, 'CPU', {**options, **kept})
    return core.compile_model(file, 'CPU', options)


def int8_file(source: Path) -> Path | None:
    """Return the 8-bit form of a network, from beside it or from the cache; None without one.

    Its name holds the checksum of the weights, so that it is never that of others.
    """
    name = f'{_stem(source)}.int8.xml'
    places = (source.with_name(name), engine_file(source, 'any').with_name(name))
    return next((file for file in places if file.is_file()), None)


def conversions(source: Path) -> list[Path]:
    """Return the files in the cache that hold conversions of a network."""
    return sorted(engine_file(source, 'any').parent.glob(f'{_stem(source)}[-.]*'))


def _stem(source: Path) -> str:
    return f'{source.stem}-{checksum(source)[:16]}'


def _openvino_file(source: Path) -> Path:
    return engine_file(source, f'openvino{importlib.metadata.version("openvino")}.xml')


def export_openvino(module: nn.Module, file: Path, shape: Shape = IMAGE) -> None:
    """Write a network as OpenVINO's .xml and .bin, for batches of a shape."""
    openvino = _openvino()
    with _traceable(module):
        model = openvino.convert_model(module, example_input=_example(shape), input=[list(shape)])
    with _written(file, file.with_suffix('.bin'), _note(file)) as partial:
        openvino.save_model(model, partial, compress_to_fp16=False)
        _note_names(partial, module)


def export_int8(network: Recorder) -> Path:
    """Write a network's 8-bit form to the cache: post-training quantisation by NNCF.

    Args:
        network: with batches of some hundred images of the kind that it will see.

    Returns:
        the .xml file; its .bin and .json lie beside it.

    Raises:
        ModelError: NNCF is not installed.
    """
    if not _installed('nncf'):
        raise ModelError('making an 8-bit form takes NNCF: pip install nncf')
    openvino = _openvino()
    import nncf as untyped_nncf

    nncf: Any = untyped_nncf
    plain = _openvino_file(network.source)
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
    file = plain.with_name(f'{_stem(network.source)}.int8.xml')
    with _written(file, file.with_suffix('.bin'), _note(file)) as partial:
        openvino.save_model(quantised, partial)
        _note_names(partial, network.module)
    return file


def export_onnx(module: nn.Module, file: Path, shape: Shape = IMAGE) -> None:
    """Write a network as ONNX, for batches of a shape."""
    names = ('images', 'channels', 'height', 'width')
    axes = {i: names[i] for i, length in enumerate(shape) if length == ANY}
    with _traceable(module), _written(file, _note(file)) as partial:
        _note_names(partial, module)
        torch.onnx.export(
            module,
            (_example(shape),),
            partial,
            dynamo=False,
            input_names=['batch'],
            dynamic_axes={'batch': axes},
            opset_version=17,
        )


def _note(file: Path) -> Path:
    """Return the file beside a conversion that tells what only the network in torch knew."""
    return file.with_suffix('.json')


def _note_names(file: Path, module: nn.Module) -> None:
    _note(file).write_text(json.dumps({'class_names': class_names(module)}), encoding='utf-8')


def _noted_names(file: Path, build: Build) -> tuple[str, ...]:
    """Return the classes of a converted network; conversions of earlier versions have no note."""
    if not _note(file).is_file():
        return class_names(build())
    return tuple(json.loads(_note(file).read_text(encoding='utf-8'))['class_names'])


def _example(shape: Shape) -> Tensor:
    lengths = zip(shape, EXAMPLE, strict=True)
    return torch.rand([some if length == ANY else length for length, some in lengths])


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def onnx_providers(runtime: Runtime) -> list[tuple[str, dict[str, Any]]]:
    """Return what ONNX Runtime is to run a network with, and its options.

    Raises:
        ModelError: the one that is installed cannot do it.
    """
    import onnxruntime

    options: dict[str, Any] = {}
    if runtime.backend == 'tensorrt':
        name, folder = 'TensorrtExecutionProvider', str(cache_folder() / 'engines')
        options = {'trt_engine_cache_enable': True, 'trt_engine_cache_path': folder}
        options['trt_fp16_enable'] = True
    else:
        name = 'CUDAExecutionProvider' if runtime.device.type == 'cuda' else 'CPUExecutionProvider'
    if name not in onnxruntime.get_available_providers():
        raise ModelError(f'this onnxruntime lacks {name}')
    return [(name, options)]


@contextlib.contextmanager
def _traceable(module: nn.Module) -> Iterator[None]:
    """Let a network be traced for any size: YOLO heads keep the anchors of the last one else."""
    heads = [m for m in module.modules() if hasattr(m, 'dynamic') and hasattr(m, 'anchors')]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        for head in heads:
            head.dynamic = True  # type: ignore[assignment]
        try:
            yield
        finally:
            for head in heads:
                head.dynamic = False  # type: ignore[assignment]


@contextlib.contextmanager
def _written(file: Path, *companions: Path) -> Iterator[Path]:
    """Give a name to write to; file and companions appear together, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f'{os.getpid()}.{file.name}')
    written = [(partial.with_suffix(c.suffix), c) for c in companions] + [(partial, file)]
    try:
        yield partial
        for source, target in written:
            source.replace(target)
    finally:
        for source, _ in written:
            source.unlink(missing_ok=True)
