"""What names have settled into, in a safetensors file: by camera, for one model."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError, reason_of
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import State

FORMAT = 'semantic_fast_sam_ros clip.adaptation 1'
TENSORS = ('sums', 'counts', 'seen', 'taken', 'moved', 'margins')


def save(path: Path, states: Mapping[str, State], model: str) -> None:
    """Write states by camera, whole or not at all.

    Args:
        path: of the file.
        states: by name of the camera.
        model: what the vectors are of; see `loading.clip_identity`.

    Raises:
        OSError: it cannot be written; an older file stays as it is.
    """
    tensors = {
        f'{camera}/{name}': getattr(state, name).cpu().contiguous()
        for camera, state in states.items()
        for name in TENSORS
    }
    looks = json.dumps({camera: state.looks for camera, state in states.items()})
    partial = path.with_name(f'{path.name}.part')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file(tensors, partial, metadata={'format': FORMAT, 'model': model, 'looks': looks})
        partial.replace(path)
    except SafetensorError as error:
        raise OSError(f'{path}: {error}') from error
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path, model: str, dimension: int, device: torch.device) -> dict[str, State]:
    """Read states by camera; none where there is no file yet.

    Args:
        path: of the file.
        model: as for `save`.
        dimension: of the model's vectors.
        device: for the states.

    Raises:
        ConfigError: the file is damaged, something else, or of another model.
    """
    if not path.exists():
        return {}
    try:
        with safe_open(path, framework='pt', device=str(device)) as content:
            told = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f'clip.adaptation_file {path} cannot be read: {reason_of(error)}'
        ) from error
    if told.get('format') != FORMAT:
        raise ConfigError(f'clip.adaptation_file {path} holds no names that have settled')
    if told.get('model') != model:
        raise ConfigError(
            f'clip.adaptation_file {path} was learned with another clip.model, or with other '
            'clip.templates: name another file, or delete it'
        )
    try:
        looks: dict[str, list[list[str]]] = json.loads(told['looks'])
        return {
            camera: _state(names, [tensors[f'{camera}/{name}'] for name in TENSORS], dimension)
            for camera, names in looks.items()
        }
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f'clip.adaptation_file {path} is damaged ({type(error).__name__}: {error}): delete it'
        ) from error


def _state(names: list[list[str]], tensors: list[Tensor], dimension: int) -> State:
    """Return the state of a camera.

    Raises:
        ValueError: what the file holds does not fit together.
    """
    looks, rows = tuple(map(tuple, names)), len(names)
    for name, tensor in zip(TENSORS, tensors, strict=True):
        shape = {'sums': (rows, dimension), 'margins': (2,)}.get(name, (rows,))
        kind = torch.int64 if name == 'taken' else torch.float32
        if tuple(tensor.shape) != shape or tensor.dtype != kind or not tensor.isfinite().all():
            raise ValueError(f'{name} should be finite {kind} of the shape {shape}')
    if len(set(looks)) < rows:
        raise ValueError('a name stands in it twice')
    return State(looks, *tensors)
