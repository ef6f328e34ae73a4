"""Run the networks with OpenVINO, ONNX Runtime, TensorRT or torch.compile instead of plain torch.

Where it is not torch that runs it, a network is converted once, for all batches that it will be
given, and kept in the cache folder under the checksum of its weights.
"""

import functools
import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from semantic_fast_sam_ros.core.base.errors import ModelError, first_line
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.networks.batching import Network
from semantic_fast_sam_ros.core.networks.conversions import (
    IMAGE,
    Build,
    Shape,
    int8_file,
    openvino_file,
)
from semantic_fast_sam_ros.core.networks.onnx_engine import OnnxNetwork
from semantic_fast_sam_ros.core.networks.openvino_engine import OpenVinoNetwork
from semantic_fast_sam_ros.core.networks.recording import Recorder, recorded
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.torch_compile import CompiledNetwork

LIBRARIES = {
    'compile': 'torch',
    'openvino': 'openvino',
    'onnxruntime': 'onnxruntime',
    'tensorrt': 'onnxruntime',
}
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
    recorders = recorded()
    if recorders is not None:
        recorders.append(Recorder(module(), source, shape, exact))
        return recorders[-1]
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
        log.warning('%s cannot run %s, torch does: %s', name, source.name, first_line(error))
        return module()


def runs_outside_torch(source: Path, runtime: Runtime) -> bool:
    """Say whether `load_network` will hand a network's conversion to another library."""
    return _backend(source, runtime) not in ('torch', 'compile')


def _backend(source: Path, runtime: Runtime) -> str:
    if runtime.backend != 'auto':
        return runtime.backend
    ready = _suits_openvino(runtime) and _installed('openvino') and _worth_converting(source)
    return 'openvino' if ready else 'torch'


def _suits_openvino(runtime: Runtime) -> bool:
    return runtime.device.type == 'cpu' and runtime.dtype == torch.float32


def _worth_converting(source: Path) -> bool:
    """Say whether `auto` may convert: what ships takes seconds, others wait to be asked for."""
    ships = source.resolve().is_relative_to(resource_folder('models').resolve())
    return ships or openvino_file(source).is_file() or int8_file(source) is not None


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _compiled(build: Build, source: Path, runtime: Runtime, _: Shape) -> Network:
    return CompiledNetwork(build(), source, runtime)


ENGINES: dict[str, Callable[[Build, Path, Runtime, Shape], Network]] = {
    'compile': _compiled,
    'openvino': OpenVinoNetwork,
    'onnxruntime': OnnxNetwork,
    'tensorrt': OnnxNetwork,
}
