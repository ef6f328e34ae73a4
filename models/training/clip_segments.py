"""Segments of photos with what they show, from data sets in their owners' layouts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import camvid
import clothing
import coco_panoptic
import cv2
import labelme_facade
import numpy as np
import torch
from clip_names import CAMVID, CLOTHING, COCO_NAMES, CONCEPTS, FACADE
from numpy.typing import NDArray
from sets import Reader, is_held_out
from torch import Tensor

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels

HELD_OUT = 5  # one image in so many, where the set has no split
MINIMUM_AREA = 100  # pixels
LARGEST = 12  # segments of a facade, which has hundreds of windows
LONGER_SIDE = 512  # larger photos are read at this size
Named = list[tuple[NDArray[np.bool_], str]]  # masks (H, W) with their concepts


@dataclass(frozen=True)
class Segments:
    """The segments of one image."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    masks: Tensor  # (N, H, W) bool
    boxes: Tensor  # (N, 4) float32
    concepts: Tensor  # (N,) indices into CONCEPTS


@dataclass(frozen=True)
class Photo:
    """One image, and how to read its labels."""

    source: str  # layout of the set that it is from
    image: Path
    read_named: Callable[[], Named]
    held_out: bool  # measured on, never trained on

    def read(self, minimum_area: int = MINIMUM_AREA) -> Segments | None:
        """Return the segments of at least so many pixels; None: there are none.

        Raises:
            ValueError: the image is unreadable, or its label is of another size.
        """
        image, named = read_image(self.image), self.read_named()
        if any(mask.shape != image.shape[:2] for mask, _ in named):
            raise ValueError(f'the label of {self.image} is of another size')
        scale = min(1.0, LONGER_SIDE / max(image.shape[:2]))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            named = [(_resized(mask, image.shape[:2]), name) for mask, name in named]
        named = [(mask, name) for mask, name in named if mask.sum() >= minimum_area]
        if not named:
            return None
        masks = torch.from_numpy(np.stack([mask for mask, _ in named]))
        concepts = torch.tensor([CONCEPTS.index(name) for _, name in named])
        return Segments(image, masks, boxes_of(masks), concepts)


def boxes_of(masks: Tensor) -> Tensor:
    """Return the extents of non-empty masks (N, H, W), (N, 4) float32 half-open."""
    rows, columns = masks.any(2).float(), masks.any(1).float()
    height, width = masks.shape[1:]
    left, top = columns.argmax(1), rows.argmax(1)
    right, bottom = width - columns.flip(1).argmax(1), height - rows.flip(1).argmax(1)
    return torch.stack([left, top, right, bottom], 1).float()


def camvid_photos(folder: Path, split: str) -> list[Photo]:
    """List the train split, or another, which is held out."""
    split = split or 'train'
    pairs = camvid.pair_paths(folder / split)
    kept = split != 'train'
    return [Photo('camvid', image, partial(_camvid_named, label), kept) for image, label in pairs]


def facade_photos(folder: Path, _: str) -> list[Photo]:
    """List all images."""
    return [
        Photo('labelme_facade', image, partial(_facade_named, label), _kept(image))
        for image, label in labelme_facade.pair_paths(folder)
    ]


def clothing_photos(folder: Path, _: str) -> list[Photo]:
    """List all images: each person as a whole, and by clothes."""
    return [
        Photo('clothing', image, partial(_clothing_named, label), _kept(image))
        for image, label in clothing.pair_paths(folder)
    ]


def coco_photos(folder: Path, split: str) -> list[Photo]:
    """List things and stuff."""
    return [
        Photo('coco_panoptic', image, partial(_coco_named, label, names), _kept(image))
        for image, label, names in coco_panoptic.listed(folder, split)
    ]


READERS: dict[str, Reader[Photo]] = {
    'camvid': camvid_photos,
    'labelme_facade': facade_photos,
    'coco_panoptic': coco_photos,
    'clothing': clothing_photos,
}


def _kept(image: Path) -> bool:
    return is_held_out(image, HELD_OUT)


def _camvid_named(label: Path) -> Named:
    return _regions(read_labels(label), tuple(CAMVID.values()))


def _facade_named(label: Path) -> Named:
    found = _regions(labelme_facade.read_label(label), tuple(FACADE.values()))
    return sorted(found, key=lambda one: -int(one[0].sum()))[:LARGEST]


def _clothing_named(label: Path) -> Named:
    pieces = clothing.read_label(label)
    found = [(np.isin(pieces, numbers), name) for name, numbers in CLOTHING.items()]
    return [(pieces > 0, 'person'), *(one for one in found if one[0].any())]


def _coco_named(label: Path, segments: dict[int, str]) -> Named:
    numbers = coco_panoptic.read_label(label)
    return [(numbers == number, COCO_NAMES[name]) for number, name in segments.items()]


def _regions(label: NDArray[np.unsignedinteger], names: tuple[str, ...]) -> Named:
    """Return the 8-connected regions of each class; larger values say nothing."""
    found: Named = []
    for value in np.unique(label[label < len(names)]):
        count, parts = cv2.connectedComponents((label == value).astype(np.uint8), connectivity=8)
        found += [(parts == part, names[value]) for part in range(1, count)]
    return found


def _resized(mask: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.bool_]:
    resized = cv2.resize(
        mask.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST
    )
    return resized.astype(bool)
