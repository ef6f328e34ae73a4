"""What each step of degradation costs and gains: time and mIoU on consecutive CamVid frames.

    python benchmarks/degradation.py --data CAMVID --frames 40

The steps take turns on each frame, so that a passing load falls on all of them.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from semantic_fast_sam_ros import SemanticFastSam
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.evaluation.confusion import confusion_matrix, mean_iou
from semantic_fast_sam_ros.evaluation.datasets import Source, read_data_set
from semantic_fast_sam_ros.evaluation.mapping import map_classes
from semantic_fast_sam_ros.ros.budget import STEPS, degraded, describe

SEQUENCE = '0016E5'  # of the val split: every second frame of 30 a second is there


def main() -> None:
    """Print a row a step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True, help='folder of CamVid')
    parser.add_argument('--frames', type=int, default=40)
    parser.add_argument('--profile', default='embedded')
    arguments = parser.parse_args()
    config = load_profile(arguments.profile)
    segment = SemanticFastSam(config)
    segment.warm_up()
    data = read_data_set('camvid', Source(arguments.data, 'val'))
    samples = [s for s in data.samples if s.image.name.startswith(SEQUENCE)][: arguments.frames]
    table = map_classes(segment.vocabulary, data.vocabulary).table
    classes = len(data.vocabulary)
    spent_ms: list[list[float]] = [[] for _ in STEPS]
    matrices = np.zeros((len(STEPS), classes, classes + 1), np.int64)
    newest: list[SegmentationResult | None] = [None] * len(STEPS)
    for number, sample in enumerate(samples):
        image, truth = data.read(sample)
        for step, given_up in enumerate(STEPS):
            segment.update(degraded(config, step))
            earlier = newest[step] if number % given_up.label_every else None
            began = time.perf_counter()
            newest[step] = result = segment(image, earlier)
            spent_ms[step].append(1000 * (time.perf_counter() - began))
            matrices[step] += confusion_matrix(truth, table[result.label_map], classes)
    for step, times in enumerate(spent_ms):
        print(
            f'| {step} | {describe(config, step)} | {statistics.mean(times):.0f} '
            f'| {100 * mean_iou(matrices[step]):.1f} |'
        )


if __name__ == '__main__':
    main()
