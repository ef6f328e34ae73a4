"""Which libraries are installed, for `doctor`, and which processors there are."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from semantic_fast_sam_ros.tools.findings import Finding, Verdict

QUICK = ('numpy', 'yaml', 'cv2')  # to import
NVIDIA_GPUS = Path('/proc/driver/nvidia/gpus')  # a folder each
# Module -> distribution, and what it is needed for; the essential ones come first.
ESSENTIAL = {
    'numpy': ('numpy', 'everything'),
    'yaml': ('PyYAML', 'configuration'),
    'cv2': ('OpenCV', 'images'),
    'ultralytics': ('ultralytics', 'masks'),
    'transformers': ('transformers', 'the dense branch'),
    'safetensors': ('safetensors', 'the dense branch'),
    'numba': ('numba', 'the pixels of masks and votes'),
}
OPTIONAL = {
    'openvino': ('openvino', 'speed on CPUs: without it torch runs the networks'),
    'tornado': ('tornado', 'the viewer'),
    'timm': ('timm', 'dense models with a timm backbone, such as the one that ships'),
    'open_clip': ('open_clip_torch', 'open vocabularies'),
    'textblob': ('textblob', 'the labeller ssa_engine'),
    'rosbags': ('rosbags', 'reading and writing bags'),
    'mcap': ('mcap', 'reading and writing .mcap files'),
    'launch_ros': ('launch_ros', 'the launch files; `scripts/demo` does without'),
}


def look_at_torch(load: bool) -> Iterator[Finding]:
    """Say which torch there is, and what it can run on; `load` as of `look_at_others`."""
    if reason := _problem('torch', load):
        yield Finding('MISSING', 'torch', f'{reason} (requirements/torch.txt)')
        return
    yield Finding('ok', 'torch', version('torch'))
    yield from _devices_of_torch() if load else _devices()


def _devices() -> Iterator[Finding]:
    """Say which processors there are, without torch."""
    gpus = len(list(NVIDIA_GPUS.iterdir())) if NVIDIA_GPUS.is_dir() else 0
    if gpus and version('torch').endswith('+cpu'):
        yield Finding('note', 'device', f'{gpus} NVIDIA GPU(s), but this torch is for CPUs only')
    elif gpus:
        yield Finding('ok', 'device', f'{gpus} NVIDIA GPU(s); with --load torch is asked for them')
    else:
        yield Finding('ok', 'device', f'{len(os.sched_getaffinity(0))} CPUs')


def _devices_of_torch() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(index).total_memory / 1e9
            name = torch.cuda.get_device_name(index)
            yield Finding('ok', 'device', f'cuda:{index} {name}, {memory:.0f} GB')
    elif torch.backends.mps.is_available():
        yield Finding('ok', 'device', 'mps')
    else:
        yield Finding('ok', 'device', f'cpu, {torch.get_num_threads()} threads')


def look_at_others(load: bool) -> Iterator[Finding]:
    """Say which of the other libraries there are.

    Args:
        load: whether to import what takes seconds; otherwise it is enough that it is installed.
    """
    for needed, libraries in ((True, ESSENTIAL), (False, OPTIONAL)):
        for module, (distribution, use) in libraries.items():
            reason = _problem(module, load)
            if not reason:
                yield Finding('ok', distribution, version(distribution, module))
            else:
                verdict: Verdict = 'MISSING' if needed else 'note'
                yield Finding(verdict, distribution, f'{reason} (for {use})')


def importable(module: str) -> bool:
    """Say whether a module can be imported."""
    return not import_problem(module)


def _problem(module: str, load: bool) -> str:
    """Return why a module cannot be used, '' if it can, or if it is there and not to be loaded."""
    if load or module in QUICK:
        return import_problem(module)
    return '' if importlib.util.find_spec(module) else 'not installed'


def import_problem(module: str) -> str:
    """Return why a module cannot be imported, '' if it can; what it prints is dropped."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        return 'not installed' if error.name == module else str(error)
    except Exception as error:  # such as a compiled part built against another NumPy
        return f'{type(error).__name__}: {str(error).partition(chr(10))[0]}'
    return ''


def version(distribution: str, module: str = '') -> str:
    """Return a version: the distribution's, else the module's (some apt packages have one)."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return str(getattr(sys.modules.get(module), '__version__', 'of unknown version'))
