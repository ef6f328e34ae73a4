"""Measure tracks against exact truth: photos' people and cars moved over other photos.

Two inputs: the true boxes, shaken and with some left out, which measures the tracker alone; and
the masks and names that a profile finds. Each at 30 and at 5 images a second, with a fifth of the
images dropped, and by a tracker whose clock counts images, as ByteTrack's does. IDF1 and id
switches are motmetrics' (`pip install motmetrics`). Also printed: CPU times for 8 and 32 objects.

    python benchmarks/tracking.py --cutouts clothing --cutouts facade:3 --backgrounds facade/images

`--cutouts FOLDER[:VALUE]` has images/ and labels/NAME.png, where VALUE marks the object (else all
but 0): PNG forms of Clothing Co-Parsing and of LabelMeFacade, where 3 is car.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hota import hota
from moving_scenes import HZ, SIZE, Frame, Mover, movers, read_cutouts, video

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.walking import files_below
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.track_ids import TrackIds
from semantic_fast_sam_ros.core.objects.tracks import ObjectTracker, things_of
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

KEEP_S = 2.0
MISSED, SHAKE = 0.08, 0.03  # share of true boxes left out; standard deviation, of their sides
COVERED = 0.5  # share of a found mask that must lie on one object
VARIANTS = {  # each so-many-th image of HZ, share dropped, whether the tracker counts images
    '30 Hz': (1, 0.0, False),
    '30 Hz, 20 % dropped': (1, 0.2, False),
    '10 Hz': (3, 0.0, False),
    '5 Hz': (6, 0.0, False),
    '5 Hz, 20 % dropped': (6, 0.2, False),
    '30 Hz, 20 % dropped, counting images': (1, 0.2, True),
    '10 Hz, counting images': (3, 0.0, True),
    '5 Hz, counting images': (6, 0.0, True),
    '5 Hz, 20 % dropped, counting images': (6, 0.2, True),
}
NAMES = from_names(['thing'])
Find = Callable[[Frame], SegmentationResult]


@dataclass(frozen=True)
class Seen:
    """The truth of a frame, and what was found in it."""

    ids: NDArray[np.int64]  # (N,)
    boxes: NDArray[np.float64]  # (N, 4)
    result: SegmentationResult
    counts: NDArray[np.bool_]  # (M,) which masks lie on an object: of the others nothing is known


Tracked = list[tuple[Seen, NDArray[np.int64], NDArray[np.float64]]]  # ids and boxes found


def result_of(boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> SegmentationResult:
    """Return an image of things in boxes; where the pixels are does not matter."""
    count = len(boxes)
    return SegmentationResult(
        label_map=np.zeros(SIZE, np.uint8),
        confidence=np.zeros(SIZE, np.uint8),
        instances=np.zeros(SIZE, np.uint16),
        mask_ids=np.arange(1, count + 1, dtype=np.uint16),
        boxes=boxes.astype(np.float32),
        mask_scores=np.ones(count, np.float32),
        class_ids=np.ones((count, 1), np.int64),
        class_scores=scores.astype(np.float32)[:, None],
        vocabulary=NAMES,
    )


def shaken(seed: int) -> Find:
    """Return what finds the true boxes, not quite."""
    random = np.random.default_rng(seed)

    def find(frame: Frame) -> SegmentationResult:
        kept = random.random(len(frame.boxes)) >= MISSED
        boxes = frame.boxes[kept]
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = boxes + SHAKE * sides * random.normal(size=boxes.shape)
        return result_of(boxes, random.uniform(0.4, 1.0, len(boxes)))

    return find


def look(frames: Iterator[Frame], find: Find) -> list[Seen]:
    """Find the masks of a video."""
    seen = []
    for frame in frames:
        result = find(frame)
        on = [_on_object(result, number, frame) for number in result.mask_ids]
        small = replace(result, instances=np.zeros((1, 1), np.uint16))  # nothing but boxes counts
        seen.append(Seen(frame.ids, frame.boxes, small, np.array(on, bool)))
    return seen


def follow(seen: list[Seen], every: int, dropped: float, by_count: bool) -> Tracked:
    """Track a video; of what is found, only what lies on the objects counts."""
    tracker, random, found = ObjectTracker(TrackIds(), KEEP_S), np.random.default_rng(5), []
    for index, one in enumerate(seen[::every]):
        if random.random() < dropped:
            continue
        at = len(found) / HZ if by_count else index * every / HZ
        result = tracker.update(one.result, round(1e9 * at))
        assert result.tracked is not None
        rows = np.flatnonzero(result.tracked & one.counts)
        found.append((one, result.mask_ids[rows].astype(np.int64), result.boxes[rows]))
    return found


def _on_object(result: SegmentationResult, number: int, frame: Frame) -> bool:
    mask = result.instances == number
    # Without pixels it comes from the truth.
    return not mask.any() or float(np.mean(frame.owner[mask] > 0)) >= COVERED


def scores(videos: list[Tracked]) -> dict[str, float]:
    """Return HOTA, its two parts, IDF1 and switches over all videos."""
    import motmetrics
    import pandas

    np.asfarray = partial(np.asarray, dtype=float)  # motmetrics 1.4 asks for it, NumPy 2 lacks it
    truth, told = [], []
    for number, tracked in enumerate(videos):
        for index, (one, ids, boxes) in enumerate(tracked, start=1):
            at = index + 10_000 * number
            truth += _rows(at, one.ids + 1000 * number, one.boxes)
            told += _rows(at, ids + 100_000 * number, boxes)
    columns = ['FrameId', 'Id', 'X', 'Y', 'Width', 'Height', 'Confidence']
    tables = [pandas.DataFrame(r, columns=columns) for r in (truth, told)]
    first, second = (t.set_index(['FrameId', 'Id']) for t in tables)
    handler = motmetrics.metrics.create()
    plain = motmetrics.utils.compare_to_groundtruth(first, second, 'iou', distth=0.5)
    names = ['idf1', 'num_switches', 'num_fragmentations', 'recall', 'precision']
    found = handler.compute(plain, metrics=names).iloc[0].to_dict()
    images = [
        (one.ids + 1000 * number, one.boxes, ids + 100_000 * number, boxes.astype(np.float64))
        for number, tracked in enumerate(videos)
        for one, ids, boxes in tracked
    ]
    parts = zip(('hota', 'deta', 'assa'), hota(images), strict=True)
    return {**found, **dict(parts)}


def _rows(at: int, ids: NDArray[np.int64], boxes: NDArray[np.float64]) -> list[tuple[float, ...]]:
    return [
        (at, int(i), b[0], b[1], b[2] - b[0], b[3] - b[1], 1.0)
        for i, b in zip(ids, boxes, strict=True)
    ]


def time_of(count: int, rounds: int = 300) -> tuple[float, float]:
    """Return the median CPU milliseconds of moving boxes: joining them, renaming the image."""
    random = np.random.default_rng(0)
    corners = random.uniform((0, 0), (560, 300), (count, 2))
    speed, sides = random.uniform(-2, 2, (count, 2)), random.uniform(20, 80, (count, 2))
    tracker, taken = ObjectTracker(TrackIds(), KEEP_S), []
    instances = random.integers(0, count + 1, (480, 640)).astype(np.uint16)
    for index in range(rounds):
        at = corners + index % 60 * speed
        result = result_of(np.hstack([at, at + sides]), np.full(count, 0.8))
        seen = things_of(result)
        started = time.thread_time()
        tracker.follow(seen, round(1e9 * index / 30))
        joined = time.thread_time()
        renamed = np.arange(count + 1).astype(np.uint16)
        _ = renamed.take(instances, mode='wrap')
        taken.append((joined - started, time.thread_time() - joined))
    tracks, image = 1000 * np.median(taken, axis=0)
    return float(tracks), float(image)


def scenes(arguments: argparse.Namespace) -> list[tuple[NDArray[np.uint8], list[Mover]]]:
    """Return backgrounds and what moves over them."""
    cutouts = []
    for text in arguments.cutouts:
        folder, _, value = text.partition(':')
        cutouts += read_cutouts(Path(folder), int(value) if value else None, 40)
    files = files_below(Path(arguments.backgrounds), ('.jpg', '.png'), deep=False)
    chosen = files[:: max(1, len(files) // arguments.videos)][: arguments.videos]
    return [
        (read_image(path), movers(cutouts, arguments.objects, seed))
        for seed, path in enumerate(chosen)
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--cutouts', action='append', required=True)
    parser.add_argument('--backgrounds', required=True)
    parser.add_argument('--videos', type=int, default=8)
    parser.add_argument('--objects', type=int, default=8)
    parser.add_argument('--seconds', type=float, default=6.0)
    parser.add_argument('--profile', help='measure what it finds, too, such as embedded')
    arguments = parser.parse_args()
    for count in (8, 32):
        tracks_ms, image_ms = time_of(count)
        print(f'{count} objects, CPU ms: tracks {tracks_ms:.2f}, image {image_ms:.2f}')
    found: dict[str, list[Find]] = {'true boxes': [shaken(i) for i in range(arguments.videos)]}
    if arguments.profile:
        from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

        pipeline = SemanticFastSam.from_profile(arguments.profile)
        found[arguments.profile] = [lambda frame: pipeline(frame.image)] * arguments.videos
    print('| boxes | images | HOTA | DetA | AssA | IDF1 | switches | recall | precision |')
    print('|---|---|---|---|---|---|---|---|---|')
    for name, finders in found.items():
        videos = [
            look(video(*scene, arguments.seconds), find)
            for scene, find in zip(scenes(arguments), finders, strict=True)
        ]
        for variant, how in VARIANTS.items():
            s = scores([follow(seen, *how) for seen in videos])
            print(
                f'| {name} | {variant} | {100 * s["hota"]:.1f} | {100 * s["deta"]:.1f} | '
                f'{100 * s["assa"]:.1f} | {100 * s["idf1"]:.1f} | {s["num_switches"]:.0f} | '
                f'{100 * s["recall"]:.1f} | {100 * s["precision"]:.1f} |',
                flush=True,
            )


if __name__ == '__main__':
    main()
