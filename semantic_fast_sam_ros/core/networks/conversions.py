"""Conversions of networks: where they lie, and how they get there whole or not at all."""

import contextlib
import importlib.metadata
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.folders import cache_folder
from semantic_fast_sam_ros.core.networks.batching import class_names
from semantic_fast_sam_ros.core.networks.checksums import checksum

ANY = -1
IMAGE = (1, 3, ANY, ANY)  # the shape of a batch of one image of any size
EXAMPLE = (2, 3, 256, 320)  # what stands for ANY while a network is traced
Shape = tuple[int, int, int, int]
Build = Callable[[], nn.Module]


def engine_file(source: Path, ending: str) -> Path:
    """Return the file in the cache that holds a conversion of a network."""
    return engines_folder() / f'{_stem(source)}-torch{torch.__version__}.{ending}'


def engines_folder() -> Path:
    """Return the folder in the cache for all that is made of networks."""
    return cache_folder() / 'engines'


def openvino_file(source: Path) -> Path:
    """Return the file in the cache that holds a network for the OpenVINO that is installed."""
    return engine_file(source, f'openvino{importlib.metadata.version("openvino")}.xml')


def int8_file(source: Path) -> Path | None:
    """Return the 8-bit form of a network, from beside it or from the cache; None without one.

    Its name holds the checksum of the weights, so that it is never that of others.
    """
    places = (source.with_name(int8_target(source).name), int8_target(source))
    return next((file for file in places if file.is_file()), None)


def int8_target(source: Path) -> Path:
    """Return the file in the cache that an 8-bit form of a network is written to."""
    return engines_folder() / f'{_stem(source)}.int8.xml'


def conversions(source: Path) -> list[Path]:
    """Return the files in the cache that hold conversions of a network."""
    return sorted(engines_folder().glob(f'{_stem(source)}[-.]*'))


def _stem(source: Path) -> str:
    return f'{source.stem}-{checksum(source)[:16]}'


def note(file: Path) -> Path:
    """Return the file beside a conversion that tells what only the network in torch knew."""
    return file.with_suffix('.json')


def note_names(file: Path, module: nn.Module) -> None:
    """Write the classes of a network beside its conversion."""
    note(file).write_text(json.dumps({'class_names': class_names(module)}), encoding='utf-8')


def noted_names(file: Path, build: Build) -> tuple[str, ...]:
    """Return the classes of a converted network; conversions of earlier versions have no note."""
    if not note(file).is_file():
        return class_names(build())
    return tuple(json.loads(note(file).read_text(encoding='utf-8'))['class_names'])


def example(shape: Shape) -> Tensor:
    """Return a batch to trace a network with."""
    lengths = zip(shape, EXAMPLE, strict=True)
    return torch.rand([some if length == ANY else length for length, some in lengths])


@contextlib.contextmanager
def traceable(module: nn.Module) -> Iterator[None]:
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
def written(file: Path, *companions: Path) -> Iterator[Path]:
    """Give a name to write to; file and companions appear together, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f'{os.getpid()}.{file.name}')
    parts = [(partial.with_suffix(c.suffix), c) for c in companions] + [(partial, file)]
    try:
        yield partial
        for source, target in parts:
            source.replace(target)
    finally:
        for source, _ in parts:
            source.unlink(missing_ok=True)
