"""Time one pass of the networks for images of several cameras against a pass for each.

    python benchmarks/batch_cameras.py --cameras 1 2 4

Both ways take turns on the same images. A round is what the node does when each camera has an
image waiting: `first` and `last` are when the first and the last of them are labelled, `networks`
is the networks' share of an image.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import ultralytics
from numpy.typing import NDArray

from semantic_fast_sam_ros import SemanticFastSam
from semantic_fast_sam_ros.benchmarking.clock import median
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.masks.types import SegmentationResult

NETWORKS = ('mask_network', 'dense_network')
Images = Sequence[NDArray[np.uint8]]
# Milliseconds until each image is labelled, and the networks' share of each.
Round = tuple[list[float], list[float]]


def main() -> None:
    """Print a row for each number of cameras."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cameras', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--size', default='320x240', help='of the images, WIDTHxHEIGHT')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--profile', default='embedded')
    parser.add_argument('--backend', default='torch')
    parser.add_argument('--precision', default='fp32')
    parser.add_argument('--device', default='auto')
    arguments = parser.parse_args()
    segment = SemanticFastSam.from_profile(
        arguments.profile,
        backend=arguments.backend,
        precision=arguments.precision,
        device=arguments.device,
    )
    if not segment.takes_batches:
        parser.error('these networks take one image at a time')
    for count in arguments.cameras:
        images = views(count, tuple(map(int, arguments.size.split('x'))))
        ways = {'in turn': in_turn, 'together': together}
        rounds: dict[str, list[Round]] = {name: [] for name in ways}
        for number in range(1 + arguments.rounds):  # the first warms up
            for name, way in ways.items():
                found = way(segment, images)
                rounds[name] += [found] if number else []
        for name, found in rounds.items():
            print(json.dumps({'cameras': count, 'way': name, **summary(found)}), flush=True)


def views(count: int, size: tuple[int, int]) -> Images:
    """Return so many images of (width, height) that differ."""
    photo = read_image(Path(ultralytics.__file__).parent / 'assets' / 'bus.jpg')
    whole = cv2.resize(photo, size)
    return [np.roll(whole, 40 * number, axis=1) for number in range(count)]


def in_turn(segment: SemanticFastSam, images: Images) -> Round:
    """Label one image after the other, as without batches."""
    return timed([lambda i=image: segment(i) for image in images], time.perf_counter())


def together(segment: SemanticFastSam, images: Images) -> Round:
    """Let the networks see all images in one pass, as `batch_cameras` does."""
    began = time.perf_counter()
    outputs = segment.run_networks(images)
    pairs = zip(images, outputs, strict=True)
    return timed([lambda i=i, s=s: segment(i, None, s) for i, s in pairs], began)


def timed(labelling: Sequence[Callable[[], SegmentationResult]], began: float) -> Round:
    """Label; return when each was ready, and its networks' time."""
    ready, networks = [], []
    for label in labelling:
        stage_ms = label().stage_ms
        ready.append(1000 * (time.perf_counter() - began))
        networks.append(sum(stage_ms[name] for name in NETWORKS))
    return ready, networks


def summary(rounds: Sequence[Round]) -> dict[str, float]:
    """Return medians over the rounds, ms."""
    return {
        'networks': round(median([ms for _, networks in rounds for ms in networks]), 1),
        'first': round(median([ready[0] for ready, _ in rounds]), 1),
        'last': round(median([ready[-1] for ready, _ in rounds]), 1),
    }


if __name__ == '__main__':
    main()
