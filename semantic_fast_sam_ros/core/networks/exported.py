"""Networks that come as a file of another tool: ONNX, OpenVINO's IR, TFLite."""

import ast
import codecs
import contextlib
import importlib.util
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.networks import openvino_engine
from semantic_fast_sam_ros.core.networks.litert import LiteRtSession
from semantic_fast_sam_ros.core.networks.onnx_engine import OnnxSession
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Session
from semantic_fast_sam_ros.core.settings.yaml_files import read_yaml

Colour = tuple[float, float, float]
NOTES = ('metadata.json', 'temp_meta.txt')  # of ultralytics, today's name and yesterday's
MAX_NOTES = 1 << 20  # bytes
HEAD = 4096  # bytes of a file that tell what it is
WHERE = ('Exception from ', 'Check ')  # where in its own code OpenVINO was: it begins with that
REASON_LINES = 5
# What a text that is no notes raises when it is read.
NO_NOTES = (
    *(OSError, ValueError, SyntaxError, TypeError, AttributeError, LookupError, StopIteration),
    *(RecursionError, MemoryError, ConfigError),
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
    if file.suffix.lower() == '.xml' and not file.with_suffix('.bin').is_file():
        raise ModelError(f'{file} lacks its weights: {file.stem}.bin is not beside it')
    problems, opened = [], []
    for name in _libraries(file, runtime):
        if importlib.util.find_spec(name.partition('.')[0]) is None:
            problems.append(f'{name.partition(".")[0]} is not installed')
            continue
        try:
            opened.append(OPENERS[name](file, runtime))
            opened[-1].metadata |= _zipped_notes(file) | _notes_beside(file)
            if not _hides_scales(file, opened[-1]):
                return opened[-1]
        except Exception as error:  # whatever the libraries raise
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            told = [line for line in lines if not line.startswith(WHERE)][:REASON_LINES]
            problems.append(f'{name.partition(".")[0]}: {" ".join(told) or "unreadable"}')
    if opened:
        return opened[0]
    raise ModelError(f'{file} cannot be run on {runtime.device}: {"; ".join(problems)}')


def noted_classes(session: Session) -> tuple[str, ...]:
    """Return the names of the classes that are noted with a network; none where they are not.

    ultralytics has `names`, Hugging Face `id2label`; a dictionary by number, or a list.
    """
    for key in ('names', 'id2label'):
        try:
            noted = ast.literal_eval(session.metadata.get(key, ''))
            if not isinstance(noted, list):
                noted = [noted[number] for number in sorted(noted, key=int)]
            return tuple(str(name) for name in noted)
        except NO_NOTES:
            continue
    return ()


def noted_colours(session: Session) -> tuple[Colour, Colour] | None:
    """Return mean and deviation (red, green, blue, 0-255) of pixels as noted with a network."""
    if 'names' in session.metadata:  # ultralytics: pixels in 0-1
        return (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
    try:
        mean, deviation = (
            ast.literal_eval(session.metadata[key]) for key in ('image_mean', 'image_std')
        )
        (a, b, c), (d, e, f) = ([255 * float(part) for part in of] for of in (mean, deviation))
        return (a, b, c), (d, e, f)
    except NO_NOTES:
        return None


def _notes_beside(file: Path) -> dict[str, str]:
    """Return what is noted in the folder that a network was exported to; nothing where it is not.

    ultralytics writes metadata.yaml beside an OpenVINO network, optimum of Hugging Face the
    model's config.json and preprocessor_config.json.
    """
    found: dict[str, object] = {}
    with contextlib.suppress(*NO_NOTES):
        noted = read_yaml(file.with_name('metadata.yaml')) if file.suffix.lower() == '.xml' else {}
        if noted.get('author') == 'Ultralytics':
            found['names'] = noted['names']
    with contextlib.suppress(*NO_NOTES):
        config = read_yaml(file.with_name('config.json'))  # JSON is YAML
        if 'model_type' in config:
            found['id2label'] = config['id2label']
            processor = read_yaml(file.with_name('preprocessor_config.json'))
            if processor.get('do_normalize', True):
                found |= {key: processor[key] for key in ('image_mean', 'image_std')}
            else:
                found |= {'image_mean': [0, 0, 0], 'image_std': [1, 1, 1]}
    return {key: str(value) for key, value in found.items()}


def _zipped_notes(file: Path) -> dict[str, str]:
    """Return what ultralytics notes in a zip behind a TFLite network; nothing where it has not."""
    if file.suffix.lower() != '.tflite':
        return {}
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
        head = stream.read(HEAD)
    is_tflite = head[4:8] == b'TFL3'
    is_xml = head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b'<')
    return {
        '.tflite': is_tflite,
        '.xml': is_xml and b'<net' in head,
        '.onnx': not is_tflite and not is_xml,
    }[file.suffix.lower()]


def _hides_scales(file: Path, session: Session) -> bool:
    """Say whether a library gives quantised numbers without what they mean: OpenVINO does."""
    quantised = [port for port in session.outputs if port.dtype in (np.int8, np.uint8)]
    return file.suffix.lower() == '.tflite' and any(not port.scale for port in quantised)


def _libraries(file: Path, runtime: Runtime) -> list[str]:
    """Return what may run a file, best first."""
    if runtime.backend in ('torch', 'compile'):
        raise ModelError(
            f'{file.name} is an exported network: torch cannot run it; leave backend at auto'
        )
    on_cpu, kind = runtime.device.type == 'cpu', file.suffix.lower()
    able = {
        '.onnx': ['openvino', 'onnxruntime'] if on_cpu else ['onnxruntime'],
        '.xml': ['openvino'] if on_cpu else [],
        '.tflite': ['openvino', 'ai_edge_litert'] if on_cpu else [],
    }[kind]
    wanted = 'onnxruntime' if runtime.backend == 'tensorrt' else runtime.backend
    chosen = [name for name in able if wanted in ('auto', name) or name == 'ai_edge_litert']
    if not chosen:
        raise ModelError(
            f'{file.name} cannot be run by backend {runtime.backend} on {runtime.device}'
            + ('' if kind == '.onnx' else ': convert it to .onnx, or set device to cpu')
        )
    return chosen


OPENERS: dict[str, Callable[[Path, Runtime], Session]] = {
    'openvino': openvino_engine.open_file,
    'onnxruntime': OnnxSession,
    'ai_edge_litert': LiteRtSession,
}
