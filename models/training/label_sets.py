"""Photos with a mark a pixel (see meanings.py), from data sets in their owners' layouts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import camvid
import clothing
import coco_panoptic
import labelme_facade
import numpy as np
from meanings import CAMVID, FACADE, GREEN, PERSON, coco_meaning, mark
from numpy.typing import NDArray
from sets import Reader, is_held_out

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels

HELD_OUT = 5  # one image in so many, where the set has no split
CLOSE = 0.6  # scale of photos that one person fills: in the street people are smaller
Marks = NDArray[np.uint8]  # (H, W)


@dataclass(frozen=True)
class Photo:
    """One image, and how to read its marks."""

    source: str  # layout of the set that it is from
    image: Path
    read_marks: Callable[[], Marks]
    held_out: bool  # measured on, never trained on
    scale: float = 1.0  # at which it is like what a robot sees

    def read(self) -> tuple[NDArray[np.uint8], Marks]:
        """Return the image (H, W, 3) RGB and its marks (H, W).

        Raises:
            FrameError: image or label is unreadable.
            ValueError: the label is of another size.
        """
        image, marks = read_image(self.image), self.read_marks()
        if image.shape[:2] != marks.shape:
            raise ValueError(f'the label of {self.image} is of another size')
        return image, marks


def camvid_photos(folder: Path, split: str) -> list[Photo]:
    """List the train split, or another, which is held out."""
    split = split or 'train'
    pairs = camvid.pair_paths(folder / split)
    kept = split != 'train'
    return [Photo('camvid', image, partial(_camvid_marks, label), kept) for image, label in pairs]


def facade_photos(folder: Path, _: str) -> list[Photo]:
    """List all images."""
    return [
        Photo('labelme_facade', image, partial(_facade_marks, label), is_kept(image))
        for image, label in labelme_facade.pair_paths(folder)
    ]


def clothing_photos(folder: Path, _: str) -> list[Photo]:
    """List all images: who wears a piece of clothing is a person, the rest is unknown."""
    return [
        Photo('clothing', image, partial(_clothing_marks, label), is_kept(image), CLOSE)
        for image, label in clothing.pair_paths(folder)
    ]


def coco_photos(folder: Path, split: str) -> list[Photo]:
    """List things and stuff; what is not listed is unknown."""
    return [
        Photo('coco_panoptic', image, partial(_coco_marks, label, names), is_kept(image))
        for image, label, names in coco_panoptic.listed(folder, split)
    ]


READERS: dict[str, Reader[Photo]] = {
    'camvid': camvid_photos,
    'labelme_facade': facade_photos,
    'coco_panoptic': coco_photos,
    'clothing': clothing_photos,
}


def is_kept(image: Path) -> bool:
    """Tell whether an image of a set that has no split of its own is held out."""
    return is_held_out(image, HELD_OUT)


def _camvid_marks(label: Path) -> Marks:
    table = np.zeros(256, np.uint8)
    table[: len(CAMVID)] = [mark(meaning) for meaning in CAMVID.values()]
    return _grown_up(table[read_labels(label)])


def _facade_marks(label: Path) -> Marks:
    names = labelme_facade.COLOURS
    table = np.array([*(mark(FACADE[name]) for name in names), 0], np.uint8)
    return _grown_up(table[labelme_facade.read_label(label)])


def _clothing_marks(label: Path) -> Marks:
    return ((clothing.read_label(label) > 0) * mark(PERSON)).astype(np.uint8)


def _coco_marks(label: Path, segments: dict[int, str]) -> Marks:
    numbers = coco_panoptic.read_label(label)
    present = frozenset(segments.values())
    marks = np.zeros(numbers.shape, np.uint8)
    for number, name in segments.items():
        marks[numbers == number] = mark(coco_meaning(name, present))
    return marks


def _grown_up(marks: Marks) -> Marks:
    """Take greenery in the upper half of an image for trees: no lawn hangs that high."""
    half = marks[: len(marks) // 2]
    half[half == mark(GREEN)] = mark('tree')
    return marks
