"""Convert the networks of a profile for a faster backend; compare labels and times with torch."""

import argparse
import itertools
import shutil
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.bags.pictures import Picture, find_files, read_file
from semantic_fast_sam_ros.benchmarking import scenes
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.loading import policy_of
from semantic_fast_sam_ros.core.networks.conversions import conversions
from semantic_fast_sam_ros.core.networks.engines import ENGINES
from semantic_fast_sam_ros.core.networks.model_files import models_of
from semantic_fast_sam_ros.core.networks.openvino_engine import export_int8
from semantic_fast_sam_ros.core.networks.recording import recording
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.node import InputSettings
from semantic_fast_sam_ros.tools.pipeline_options import add_pipeline_arguments, config_from

PARITY = 0.995  # of the pixels; also where numbers differ in their last bits
PARITY_INT8 = 0.98  # on images of the kind that the networks know
Rgb = NDArray[np.uint8]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        '--backend',
        default='openvino',
        choices=sorted(ENGINES),
        help='default: openvino, which `backend: auto` then uses',
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='make 8-bit forms for OpenVINO, which `precision: auto` then uses: several times as '
        'fast, a little less exact; takes NNCF (pip install nncf) and --images: about a hundred '
        'of what the robot sees',
    )
    parser.add_argument(
        '--images', type=Path, help='images to compare on (default: photos of ultralytics)'
    )
    parser.add_argument('--limit', type=int, default=20, help='so many of them (default: 20)')
    parser.add_argument('--output', type=Path, metavar='DIR', help='copy the converted files here')
    add_pipeline_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert and compare; 1 if too many labels differ."""
    config = config_from(arguments)
    if exported := [model.name for model in models_of(config) if model.kind == 'exported']:
        raise ConfigError(
            f'{", ".join(exported)} was exported by another tool: there is nothing to convert. '
            'For the other networks, name one of torch in its place (--set masks.model=... or '
            'dense.model=...)'
        )
    images = list(_images(arguments.images, arguments.limit, config.input))
    plain = SemanticFastSam(replace(config, backend='torch', precision='fp32'))
    precision, parity = 'fp32', PARITY
    if arguments.int8:
        precision, parity = 'int8', PARITY_INT8
        quantise(config, images)
    fast = SemanticFastSam(replace(config, backend=arguments.backend, precision=precision))
    files = [file for source in sources(config) for file in conversions(source)]
    for file in files:
        print(f'{file} ({file.stat().st_size / 1e6:.1f} MB)')
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy2(file, arguments.output)
    equal, times = compare(plain, fast, images)
    for name, milliseconds in zip(('torch', arguments.backend), times, strict=True):
        print(f'{name}: {milliseconds:.1f} ms an image, median of {len(images)}')
    print(f'labels equal on {equal:.3%} of the pixels (at least {parity:.1%} are asked for)')
    return 0 if equal >= parity else 1


def quantise(config: Config, images: list[Rgb]) -> None:
    """Write the 8-bit forms of a configuration's networks, tuned to these images."""
    with recording() as networks:
        pipeline = SemanticFastSam(replace(config, backend='torch', precision='fp32'))
    for image in images:
        pipeline(image)
    for network in networks:
        export_int8(network)


def compare(
    plain: SemanticFastSam, fast: SemanticFastSam, images: list[Rgb]
) -> tuple[float, tuple[float, float]]:
    """Label images by turns.

    Returns:
        the share of pixels with equal labels, and the median time of an image with each, ms.
    """
    plain(images[0])  # the first call pays for lazy start-up
    fast(images[0])
    pairs = [(_timed(plain, image), _timed(fast, image)) for image in images]
    equal = sum(int((a == b).sum()) for (a, _), (b, _) in pairs)
    medians = (statistics.median(pair[i][1] for pair in pairs) for i in (0, 1))
    return equal / sum(a.size for (a, _), _ in pairs), (next(medians), next(medians))


def sources(config: Config) -> list[Path]:
    """Return the file or folder of each model."""
    return [model.find(policy_of(config)) for model in models_of(config)]


def _timed(pipeline: SemanticFastSam, image: Rgb) -> tuple[NDArray[np.unsignedinteger], float]:
    started = time.perf_counter()
    labels = pipeline(image).label_map
    return labels, 1000 * (time.perf_counter() - started)


def _images(folder: Path | None, limit: int, settings: InputSettings) -> Iterator[Rgb]:
    if folder is None:
        yield from scenes.photos((480, 640))
        return
    found = (p for file in find_files(folder, []) for p in read_file(file, folder, [], settings))
    images = list(itertools.islice(_readable(found), max(1, limit)))
    if not images:
        raise ConfigError(f'{folder} holds no readable image')
    yield from images


def _readable(pictures: Iterable[Picture]) -> Iterator[Rgb]:
    for picture in pictures:
        if picture.image is not None:
            yield picture.image
        else:
            print(f'left out: {picture.refusal}', file=sys.stderr)
