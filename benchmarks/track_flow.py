"""Say whether ids stay with what moves in a real video, along dense optical flow.

    python benchmarks/track_flow.py --data DATA/camvid

Of CamVid's val split, whose images are 1/15 s apart: pixels that have the id of a track in one
image are followed into the next (flow forth and back, as `evaluate` follows labels). Printed
are the shares that have the same id there, that of another track, and none. Rows: the masks and
names of profiles, and the connected parts of the true labels in place of masks, which says what
the tracker does with masks that stay what they are. Also printed: the same of pixels that truly
show a thing in both images.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.track_ids import LAST_TRACK, TrackIds
from semantic_fast_sam_ros.core.objects.tracks import ObjectTracker
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings import things
from semantic_fast_sam_ros.evaluation import temporal
from semantic_fast_sam_ros.evaluation.datasets import Source, read_data_set
from semantic_fast_sam_ros.evaluation.samples import DataSet

KEEP_S, HZ = 2.0, 15.0
SMALLEST = 40  # pixels of a part of the true labels that counts as a mask
Labels = NDArray[np.int16]  # (H, W) class indices
Find = Callable[[NDArray[np.uint8], Labels], SegmentationResult]


def parts(data_set: DataSet) -> Find:
    """Return what takes the connected parts of true labels for masks, each surely its class."""

    def find(image: NDArray[np.uint8], labels: Labels) -> SegmentationResult:
        instances, boxes, classes = np.zeros(labels.shape, np.uint16), [], []
        for index in np.unique(labels[labels >= 0]):
            count, parted, stats, _ = cv2.connectedComponentsWithStats(np.uint8(labels == index))
            for part in range(1, count):
                left, top, width, height, area = stats[part]
                if area >= SMALLEST:
                    boxes.append((left, top, left + width, top + height))
                    classes.append(data_set.vocabulary.classes[index].id)
                    instances[parted == part] = len(boxes)
        return SegmentationResult(
            label_map=np.zeros(labels.shape, np.uint8),
            confidence=np.zeros(labels.shape, np.uint8),
            instances=instances,
            mask_ids=np.arange(1, len(boxes) + 1, dtype=np.uint16),
            boxes=np.array(boxes, np.float32),
            mask_scores=np.ones(len(boxes), np.float32),
            class_ids=np.array(classes, np.int64)[:, None],
            class_scores=np.full((len(boxes), 1), 0.9, np.float32),
            vocabulary=data_set.vocabulary,
        )

    return find


def ids_of(data_set: DataSet, find: Find, hz: float) -> Iterator[Labels]:
    """Give the ids of tracks in each image, (H, W); 0: of none."""
    tracker, before = ObjectTracker(TrackIds(), KEEP_S), ''
    for number, sample in enumerate(data_set.samples):
        if sample.sequence != before:
            tracker.close()
        before = sample.sequence
        result = tracker.update(find(*data_set.read(sample)), round(1e9 * number / hz))
        yield np.where(result.instances <= LAST_TRACK, result.instances, 0).astype(np.int16)


def shares(followed: NDArray[np.int64]) -> str:
    """Return the shares of same, other and no id as cells of a table."""
    same, other, none = 100 * followed / max(1, followed.sum())
    return f'{same:.1f} | {other:.1f} | {none:.1f} | {followed.sum() / 1e6:.2f}'


def compare(
    first: Labels, second: Labels, moved: NDArray[np.int32], chosen: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Count the chosen pixels with a track that have the same, another or no id where they go."""
    valid = (moved >= 0) & (first > 0) & chosen
    later, before = second.reshape(-1)[moved[valid]], first[valid]
    same, none = later == before, later == 0
    return np.array([same.sum(), (~same & ~none).sum(), none.sum()], np.int64)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        '--data', required=True, type=Path, help='CamVid, as its owners lay it out'
    )
    parser.add_argument('--profiles', nargs='*', default=['embedded', 'embedded_open'])
    parser.add_argument('--limit', type=int, default=0, help='images (default: all)')
    arguments = parser.parse_args()
    whole = read_data_set('camvid', Source(arguments.data, 'val'))
    print('| masks | images a second | same id | other id | no id | pixels, million |', end='')
    print(' things: same | other | no | pixels |\n|---|---|---|---|---|---|---|---|---|---|')
    for stride in (1, 3):
        data_set = whole.select(stride, arguments.limit)
        kinds = things.kinds(data_set.vocabulary)
        is_thing = np.array([kinds[c.id] == things.THING for c in data_set.vocabulary.classes])
        moved, shown = [], []
        for a, b in pairwise(data_set.samples):
            (one, true_one), (two, true_two) = data_set.read(a), data_set.read(b)
            target = temporal.targets(temporal.flow(one, two), temporal.flow(two, one))
            moved.append(target if a.sequence == b.sequence else np.full_like(target, -1))
            later = true_two.reshape(-1)[np.maximum(target, 0)]
            shown.append((true_one >= 0) & (true_one == later) & is_thing[true_one])
        finders: dict[str, Find] = {'parts of the true labels': parts(data_set)}
        for name in arguments.profiles:
            pipeline = SemanticFastSam.from_profile(name, offline=True)
            finders[name] = lambda image, _, label=pipeline: label(image)
        for name, find in finders.items():
            all_pixels, of_things = np.zeros(3, np.int64), np.zeros(3, np.int64)
            for pair, target, chosen in zip(
                pairwise(ids_of(data_set, find, HZ / stride)), moved, shown, strict=True
            ):
                all_pixels += compare(*pair, target, np.ones_like(chosen))
                of_things += compare(*pair, target, chosen)
            print(
                f'| {name} | {HZ / stride:.0f} | {shares(all_pixels)} | {shares(of_things)} |',
                flush=True,
            )


if __name__ == '__main__':
    main()
