"""What `gpu_check` measures of one pipeline on a GPU: labels, times, memory, operations."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semantic_fast_sam_ros.benchmarking import shapes, stages
from semantic_fast_sam_ros.benchmarking.clock import by_turns, median
from semantic_fast_sam_ros.benchmarking.counted_work import CountedWork
from semantic_fast_sam_ros.benchmarking.publishing import RenderOnly
from semantic_fast_sam_ros.benchmarking.scenes import Rgb, photos
from semantic_fast_sam_ros.core.base.errors import NetworkError
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings import profiles
from semantic_fast_sam_ros.core.settings.config import Config, from_values

NAMES = ('road', 'building', 'tree', 'sky', 'person', 'car', 'bus', 'bicycle')
PRECISIONS = ('fp32', 'fp16', 'bf16')
CAMERAS = 4
Row = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """Networks of one pipeline: those that ship, or random weights in public shapes."""

    name: str
    values: Callable[[Path], dict[str, object]]  # writes them to a folder, returns the settings
    profile: str = ''


def _random(scale: str | Sequence[float], dense: str = '', clip: str = '') -> Any:
    def write(folder: Path) -> dict[str, object]:
        found: dict[str, object] = {'trust_model_files': True}
        found['masks.model'] = str(shapes.write_fastsam(folder / 'masks.pt', scale))
        if dense == 'yolo26':
            size = 'n' if isinstance(scale, str) else scale
            file = shapes.write_semantic(folder / 'dense.pt', NAMES, size)
        elif dense == 'oneformer':
            size = 'swin-large' if isinstance(scale, str) else 'tiny'
            file = shapes.write_oneformer(folder / 'dense', NAMES, size)
        elif dense:
            file = shapes.write_segformer_b0(folder / 'dense', NAMES)
        if dense:
            return {**found, 'dense.model': str(file)}
        model = str(shapes.write_clip(folder / 'clip', clip))
        names = ', '.join(NAMES)
        return {**found, 'labeller': 'clip', 'clip.model': model, 'vocabulary': names}

    return write


def _shipped(folder: Path) -> dict[str, object]:
    return {}


NETWORKS = (
    Network('embedded (ships)', _shipped, 'embedded'),
    Network('embedded_open (ships)', _shipped, 'embedded_open'),
    Network('FastSAM-s, YOLO26n-sem', _random('s', 'yolo26')),
    Network('FastSAM-x, SegFormer-B0', _random('x', 'segformer')),
    Network('FastSAM-s, MobileCLIP2-S0', _random('s', clip='MobileCLIP2-S0')),
    Network('FastSAM-s, ViT-B-32', _random('s', clip='ViT-B-32')),
    # Last, as the CPU's labels alone may take minutes.
    Network('FastSAM-x, OneFormer Swin-L', _random('x', 'oneformer')),
)
TINY_SCALE = (0.33, 0.125, 128)
TINY = (
    Network('tiny', _random(TINY_SCALE, 'yolo26')),
    Network('tiny OneFormer', _random(TINY_SCALE, 'oneformer')),
)


def settings_of(network: Network, folder: Path) -> Config:
    """Return the settings of a pipeline, its networks written to a folder, plain torch runs it."""
    values = {**network.values(folder), 'backend': 'torch', 'offline': True}
    if network.profile:
        return profiles.load_profile(network.profile, values)
    return from_values(values)


def parity(config: Config, device: str, size: tuple[int, int]) -> Row:
    """Return the share of pixels with the label of the CPU in fp32, by number format, percent."""
    images = photos(size)[:2]
    exact = SemanticFastSam(replace(config, device='cpu', precision='fp32'))
    expected = [exact(image).label_map for image in images]
    found: dict[str, float | str] = {}
    for precision in PRECISIONS:
        segment = SemanticFastSam(replace(config, device=device, precision=precision))
        try:
            maps = [segment(image).label_map for image in images]
        except NetworkError:  # random weights may be too large for fewer bits
            found[precision] = 'no numbers'
            continue
        pairs = zip(maps, expected, strict=True)
        found[precision] = round(100 * float(np.mean([(a == b).mean() for a, b in pairs])), 2)
    return {'equal_percent': found}


def frame(config: Config, device: str, size: tuple[int, int], masks: int, frames: int) -> Row:
    """Return times by stage, images a second, peak memory, operations and waits of a frame."""
    segment = SemanticFastSam(replace(config, device=device))
    case = stages.Case(size, masks, torch.get_num_threads(), config.labeller)
    _forget_peak(device)
    timed = stages.row(case, stages.time_case(segment, case, RenderOnly(config.output), frames))
    peak = _peak_mb(device)
    for _ in range(2):  # the first one uploads what stays on the device
        work = CountedWork()
        with work.counting():
            segment(photos(size)[0])
    return {
        'masks_found': timed['masks_found'],
        'stage_ms': timed['stage_ms'],
        'label_ms': timed['label_ms'],
        'images_a_second': round(1000 / timed['label_ms'], 1),
        'networks_ms': timed['networks_ms'],
        'overhead': timed['overhead'],
        'peak_mb': peak,
        'operations': sum(work.operations.values()),
        'waits': sum(work.waits.values()),
    }


def cameras(config: Config, device: str, size: tuple[int, int], frames: int) -> Row:
    """Return milliseconds an image of one camera, and of four in one pass of the networks."""
    segment = SemanticFastSam(replace(config, device=device))
    images = [*photos(size), *photos(size)][:CAMERAS]
    ways = {'one': lambda: segment(images[0]), 'four': lambda: segment.label_all(images)}
    spent = {name: median(times) for name, times in by_turns(ways, frames, 2).items()}
    return {'one_ms': round(spent['one'], 2), 'four_ms': round(spent['four'] / CAMERAS, 2)}


def graphs(config: Config, device: str, size: tuple[int, int], frames: int) -> Row:
    """Return milliseconds an image with networks in plain torch, and compiled into CUDA graphs."""
    image: Rgb = photos(size)[0]
    ways = {}
    for backend in ('torch', 'compile'):
        segment = SemanticFastSam(replace(config, device=device, backend=backend))
        ways[backend] = lambda segment=segment: segment(image)
    spent = {name: round(median(times), 2) for name, times in by_turns(ways, frames, 3).items()}
    return {'off_ms': spent['torch'], 'on_ms': spent['compile']}


def _forget_peak(device: str) -> None:
    if torch.device(device).type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_mb(device: str) -> float | None:
    with contextlib.suppress(RuntimeError, AssertionError):
        if torch.device(device).type == 'cuda':
            return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    return None
