"""What `clip.adaptation: ul_tta` adds to a frame of `embedded_open`: whole ones, with and without.

    python benchmarks/adaptation_cost.py --data CamVid --images 60 --rounds 3

One pipeline labels each image both ways, by turns, the first one by turns too, so that a passing
load falls on both; what was learned goes on from image to image. Read the ratio.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros import SemanticFastSam
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.video.adapting import CameraAdaptation
from semantic_fast_sam_ros.evaluation.datasets import Source, read_data_set

Image = NDArray[np.uint8]
CLOCKS: dict[str, Callable[[], float]] = {
    'wall clock': time.perf_counter,
    'processor': time.process_time,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True, help='folder of CamVid')
    parser.add_argument('--images', type=int, default=60, help='of val')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=0, help='as the setting (default: 0)')
    arguments = parser.parse_args()
    values = {'clip.adaptation': 'ul_tta', 'threads': arguments.threads}
    segment = SemanticFastSam(load_profile('embedded_open', values))
    segment.warm_up()
    data = read_data_set('camvid', Source(arguments.data, 'val')).select(1, arguments.images)
    images = [data.read(sample)[0] for sample in data.samples]
    camera = CameraAdaptation()
    for image in images[:3]:  # what is compiled at first use
        segment(image, adaptation=camera)
    spent = measure(segment, images * arguments.rounds, camera)
    print(f'| {len(images)} images, by turns | without, ms | with, ms | ratio |')
    print('|---|---|---|---|')
    for clock, pairs in spent.items():
        without, with_ = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f'| {clock} | {without:.1f} | {with_:.1f} | {ratio:.3f} |')


def measure(
    segment: SemanticFastSam, images: list[Image], camera: CameraAdaptation
) -> dict[str, list[tuple[float, float]]]:
    """Return the milliseconds of each image without and with adaptation, by clock."""
    spent: dict[str, list[tuple[float, float]]] = {clock: [] for clock in CLOCKS}
    for number, image in enumerate(images):
        found = {}
        for adapts in (False, True) if number % 2 else (True, False):
            began = [now() for now in CLOCKS.values()]
            segment(image, adaptation=camera if adapts else None)
            ended = [now() for now in CLOCKS.values()]
            found[adapts] = [1000 * (b - a) for a, b in zip(began, ended, strict=True)]
        for clock, pair in zip(CLOCKS, zip(found[False], found[True], strict=True), strict=True):
            spent[clock].append(pair)
    return spent


if __name__ == '__main__':
    main()
