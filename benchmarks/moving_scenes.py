"""Cut-outs of photos that move by known motions over other photos: exact truth for trackers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.core.images.walking import files_below

SIZE = (360, 640)  # height, width of a frame
HZ = 30  # frames a second of the motions
VISIBLE = 0.25  # an object counts while this share of it is seen
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Cutout:
    """An object with its own pixels."""

    pixels: Image  # (h, w, 3) RGB
    mask: NDArray[np.bool_]  # (h, w)


@dataclass(frozen=True)
class Mover:
    """Where an object is at a time."""

    cutout: Cutout
    start: NDArray[np.float64]  # x y of its centre, pixels
    speed: NDArray[np.float64]  # pixels a second
    sway: NDArray[np.float64]  # x y amplitude, pixels
    period_s: float
    height: float  # pixels
    growth: float  # of the height, a second

    def drawn(self, seconds: float) -> tuple[Cutout, NDArray[np.int64]]:
        """Return the object as it looks now, and its upper left corner."""
        turn = np.sin(2 * np.pi * seconds / self.period_s)
        centre = self.start + seconds * self.speed + turn * self.sway
        scale = self.height * (1 + self.growth * seconds) / self.cutout.mask.shape[0]
        pixels = cv2.resize(self.cutout.pixels, None, fx=scale, fy=scale, interpolation=3)
        mask = cv2.resize(self.cutout.mask.view(np.uint8), pixels.shape[1::-1]) > 0
        corner = np.round(centre - np.array(mask.shape[::-1]) / 2).astype(np.int64)
        return Cutout(np.asarray(pixels, np.uint8), mask), corner


@dataclass(frozen=True)
class Frame:
    """A composed image; rows of the arrays belong together."""

    image: Image  # (H, W, 3)
    owner: NDArray[np.uint8]  # (H, W) number of the object seen, 0: the background
    ids: NDArray[np.int64]  # (N,) objects of which enough is seen
    boxes: NDArray[np.float64]  # (N, 4) x1 y1 x2 y2 of what is seen


def read_cutouts(folder: Path, value: int | None, count: int) -> list[Cutout]:
    """Cut objects out of images/ by labels/NAME.png.

    Args:
        folder: with both.
        value: label of the object's pixels; None: all but 0.
        count: so many at most.
    """
    found: list[Cutout] = []
    for path in files_below(folder / 'images', ('.jpg', '.png'), deep=False):
        label = read_labels(folder / 'labels' / f'{path.stem}.png')
        mask = (label > 0) if value is None else (label == value)
        parts, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
        if parts < 2:
            continue
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        x, y, w, h, area = stats[largest]
        cut_off = value is not None and (x == 0 or x + w == mask.shape[1])
        if area < 2500 or cut_off:
            continue
        place = slice(y, y + h), slice(x, x + w)
        found.append(Cutout(read_image(path)[place], numbers[place] == largest))
        if len(found) == count:
            break
    return found


def movers(cutouts: Sequence[Cutout], count: int, seed: int) -> list[Mover]:
    """Return objects with random motions, those far away first."""
    random = np.random.default_rng(seed)
    heights = np.sort(random.uniform(50, 170, count))
    return [
        Mover(
            cutout=cutouts[int(random.integers(len(cutouts)))],
            start=random.uniform((0, 120), (SIZE[1], 280)),
            speed=random.uniform(20, 110) * np.array([random.choice((-1, 1)), 0.1]),
            sway=random.uniform((0, 0), (12, 6)),
            period_s=float(random.uniform(1, 3)),
            height=float(height),
            growth=float(random.uniform(-0.1, 0.1)),
        )
        for height in heights
    ]


def compose(background: Image, objects: Sequence[Mover], seconds: float) -> Frame:
    """Return the image at a time; the camera pans over the background."""
    frame = _view(background, seconds)
    owner, whole = np.zeros(SIZE, np.uint8), {}
    for number, mover in enumerate(objects, start=1):
        drawn, (left, top) = mover.drawn(seconds)
        height, width = drawn.mask.shape
        here = slice(max(top, 0), max(top + height, 0)), slice(max(left, 0), max(left + width, 0))
        there = tuple(slice(s.start - o, None) for s, o in zip(here, (top, left), strict=True))
        place = frame[here]
        mask = drawn.mask[there][: place.shape[0], : place.shape[1]]
        place[mask] = drawn.pixels[there][: place.shape[0], : place.shape[1]][mask]
        owner[here][mask] = number
        whole[number] = drawn.mask.sum()
    seen = [n for n, area in whole.items() if np.sum(owner == n) >= VISIBLE * area]
    boxes = [_box_of(owner == n) for n in seen]
    return Frame(frame, owner, np.array(seen, np.int64), np.array(boxes).reshape(-1, 4))


def video(background: Image, objects: Sequence[Mover], seconds: float) -> Iterator[Frame]:
    """Give the frames of a video of HZ."""
    for index in range(round(seconds * HZ)):
        yield compose(background, objects, index / HZ)


def _view(background: Image, seconds: float) -> Image:
    large = cv2.resize(background, (SIZE[1] + 160, SIZE[0] + 40), interpolation=cv2.INTER_AREA)
    left = round(80 + 80 * np.sin(seconds))
    top = round(20 + 20 * np.sin(1.7 * seconds))
    return np.ascontiguousarray(large[top : top + SIZE[0], left : left + SIZE[1]])


def _box_of(mask: NDArray[np.bool_]) -> list[int]:
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return [x, y, x + w, y + h]
