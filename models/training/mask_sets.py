"""Examples for the mask network from data sets in their owners' layouts."""

from functools import partial
from pathlib import Path

import camvid
import clothing
import cv2
import labelme_facade
import numpy as np
from mask_examples import Example, Regions
from numpy.typing import NDArray
from sets import Reader, is_held_out

from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.evaluation.datasets import Source
from semantic_fast_sam_ros.evaluation.region_sets import read_region_set


def bsds500(folder: Path, split: str) -> list[Example]:
    """Take the regions of every annotator."""
    found = read_region_set('bsds500', Source(folder, split or 'train'))
    return [Example(sample.image, sample.read_cuts) for sample in found.samples]


def coco_panoptic(folder: Path, split: str) -> list[Example]:
    """Take things and stuff; what the file of annotations does not list is not labelled."""
    found = read_region_set('coco_panoptic', Source(folder, split or 'train'))
    return [Example(sample.image, sample.read_cuts) for sample in found.samples]


def facade(folder: Path, _: str) -> list[Example]:
    """Take the connected regions of each class, windows and doors among them."""
    return [
        Example(image, partial(_facade_cuts, label))
        for image, label in labelme_facade.pair_paths(folder)
        if not is_held_out(image)
    ]


def people(folder: Path, _: str) -> list[Example]:
    """Take each person as a whole, and every piece of clothing."""
    return [
        Example(image, partial(_people_cuts, label))
        for image, label in clothing.pair_paths(folder)
        if not is_held_out(image)
    ]


def camvid_regions(folder: Path, split: str) -> list[Example]:
    """Take the connected regions of each class."""
    return [
        Example(image, partial(_camvid_cuts, label))
        for image, label in camvid.pair_paths(folder / (split or 'train'))
    ]


READERS: dict[str, Reader[Example]] = {
    'bsds500': bsds500,
    'coco_panoptic': coco_panoptic,
    'labelme_facade': facade,
    'clothing': people,
    'camvid': camvid_regions,
}


def connected(label: NDArray[np.uint8], ignore: int) -> Regions:
    """Number the 8-connected regions of one class each, from 1; 0 where the label says nothing."""
    numbers = np.zeros(label.shape, np.int32)
    for value in np.unique(label[label != ignore]):
        _, parts = cv2.connectedComponents((label == value).astype(np.uint8), connectivity=8)
        numbers += np.where(parts > 0, parts + numbers.max(), 0)
    return numbers


def _facade_cuts(label: Path) -> list[Regions]:
    return [connected(labelme_facade.read_label(label), labelme_facade.IGNORE)]


def _people_cuts(label: Path) -> list[Regions]:
    pieces = clothing.read_label(label)
    return [(pieces > 0).astype(np.int32), pieces]


def _camvid_cuts(label: Path) -> list[Regions]:
    return [connected(read_labels(label), camvid.IGNORE)]
