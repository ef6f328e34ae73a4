"""Networks that come as a file of another tool: ONNX, OpenVINO's IR, TFLite."""

import ast
import codecs
import importlib.util
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import openvino_engine
from semantic_fast_sam_ros.core.networks.litert import LiteRtSession
from semantic_fast_sam_ros.core.networks.onnx_engine import OnnxSession
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Session

NOTES = ('metadata.json', 'temp_meta.txt')  # of ultralytics, today's name and yesterday's
MAX_NOTES = 1 << 20  # bytes
# What a text that is no notes raises when it is read.
NO_NOTES = (
    *(OSError, ValueError, SyntaxError, TypeError, AttributeError, StopIteration),
    *(RecursionError, MemoryError),
)


def open_exported(file: Path, runtime: Runtime) -> Session:
    """Open a network for a device; nothing in the file is run as code.

    Raises:
        ModelError: no library here can run it there, or the file is damaged or another kind.
    """
    if not _is_what_it_says(file):  # OpenVINO would look for itself
        raise ModelError(
            f'{file} cannot be run on {runtime.device}: its content is no {file.suffix}, but '
            'damaged or another format'
        )
    problems, opened = [], []
    for name in _libraries(file, runtime):
        if importlib.util.find_spec(name.partition('.')[0]) is None:
            problems.append(f'{name.partition(".")[0]} is not installed')
            continue
        try:
            opened.append(OPENERS[name](file, runtime))
            if file.suffix == '.tflite':
                opened[-1].metadata |= _zipped_notes(file)
            if not _hides_scales(file, opened[-1]):
                return opened[-1]
        except Exception as error:  # whatever the libraries raise
            lines = [line for line in str(error).splitlines() if line.strip()]
            # OpenVINO begins with where in its own code it was.
            reason = next((x for x in lines if not x.startswith('Exception from')), 'unreadable')
            problems.append(f'{name.partition(".")[0]}: {reason.strip()}')
    if opened:
        return opened[0]
    raise ModelError(f'{file} cannot be run on {runtime.device}: {"; ".join(problems)}')


def noted_classes(session: Session) -> tuple[str, ...]:
    """Return the names of the classes that ultralytics notes in a file; none where it has not."""
    try:
        noted = ast.literal_eval(session.metadata.get('names', '{}'))
        return tuple(str(noted[key]) for key in sorted(noted, key=int))
    except NO_NOTES:
        return ()


def _zipped_notes(file: Path) -> dict[str, str]:
    """Return what ultralytics notes in a zip behind a TFLite network; nothing where it has not."""
    try:
        with zipfile.ZipFile(file) as behind:
            name = next(iter({*NOTES} & {*behind.namelist()}))
            text = behind.open(name).read(MAX_NOTES).decode()
        found = json.loads(text) if name.endswith('.json') else ast.literal_eval(text)
        return {str(key): str(value) for key, value in found.items()}
    except (zipfile.BadZipFile, *NO_NOTES):
        return {}


def _is_what_it_says(file: Path) -> bool:
    """Say whether a file begins as its ending says; ONNX, a protobuf, has no mark of its own."""
    with file.open('rb') as stream:
        head = stream.read(64)
    marks = {
        '.tflite': head[4:8] == b'TFL3',
        '.xml': head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b'<'),
    }
    marks['.onnx'] = not any(marks.values())
    return marks[file.suffix]


def _hides_scales(file: Path, session: Session) -> bool:
    """Say whether a library gives quantised numbers without what they mean: OpenVINO does."""
    quantised = [port for port in session.outputs if port.dtype in (np.int8, np.uint8)]
    return file.suffix == '.tflite' and any(not port.scale for port in quantised)


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


OPENERS: dict[str, Callable[[Path, Runtime], Session]] = {
    'openvino': openvino_engine.open_file,
    'onnxruntime': OnnxSession,
    'ai_edge_litert': LiteRtSession,
}
