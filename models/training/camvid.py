"""Read the CamVid folders that the training scripts share (480 x 360, 11 classes, 11 = ignore)."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels

CLASSES = (
    'sky',
    'building',
    'pole',
    'road',
    'sidewalk',
    'tree',
    'sign',
    'fence',
    'car',
    'pedestrian',
    'bicyclist',
)
IGNORE = 11
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def pair_paths(split: Path) -> list[tuple[Path, Path]]:
    """List (image, label) paths of a split folder holding `images/` and `labels/`."""
    images = sorted((split / 'images').glob('*.png'))
    pairs = [(image, split / 'labels' / image.name) for image in images]
    missing = [str(label) for _, label in pairs if not label.exists()]
    if not pairs or missing:
        raise FileNotFoundError(f'{split}: no images/*.png, or labels missing: {missing[:3]}')
    return pairs


def load_pairs(split: Path) -> list[Pair]:
    """Load a whole split: RGB (H, W, 3) uint8 images and (H, W) uint8 labels."""
    return [
        (
            read_image(image),
            read_labels(label),
        )
        for image, label in pair_paths(split)
    ]


def regions(label: NDArray[np.uint8], minimum_area: int) -> list[NDArray[np.uint8]]:
    """Return one (H, W) 0/1 mask for each connected one-class region of at least that area."""
    found = []
    for class_id in np.unique(label):
        if class_id == IGNORE:
            continue
        count, components, stats, _ = cv2.connectedComponentsWithStats(
            (label == class_id).astype(np.uint8), connectivity=8
        )
        found += [
            (components == index).astype(np.uint8)
            for index in range(1, count)
            if stats[index, cv2.CC_STAT_AREA] >= minimum_area
        ]
    return found


def confusion(label: NDArray[np.uint8], predicted: NDArray[np.integer]) -> NDArray[np.int64]:
    """Count (true, predicted) pairs over the labelled pixels: (11, 11) int64."""
    count = len(CLASSES)
    valid = label < count
    index = label[valid].astype(np.int64) * count + predicted[valid]
    return np.bincount(index, minlength=count * count).reshape(count, count)


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union a class from a confusion matrix; NaN for absent classes."""
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return np.where(union > 0, np.diag(matrix) / np.maximum(union, 1), np.nan)
