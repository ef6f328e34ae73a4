"""Write a data set in its owners' layout as `evaluate generic` reads it.

    python models/training/named_labels.py coco_panoptic coco coco_voc --split train \
        --classes 'background, aeroplane | airplane, bicycle'

Images are linked to. Labels are PNG, 0 is the first name. What has another name is `background` if
that is in the list; otherwise it is 255 and not scored, as what the owners left without a label.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import coco_panoptic
import cv2
import labelme_facade
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

UNLABELLED = 255
# Image, its label (H, W), and what its numbers are called.
Labelled = tuple[Path, NDArray[np.integer], Mapping[int, str]]


def _coco(folder: Path, split: str) -> Iterator[Labelled]:
    for image, label, names in coco_panoptic.listed(folder, split):
        yield image, coco_panoptic.read_label(label), names


def _facade(folder: Path, split: str) -> Iterator[Labelled]:
    for image, label in labelme_facade.pair_paths(folder):
        yield image, labelme_facade.read_label(label), dict(enumerate(labelme_facade.COLOURS))


READERS: dict[str, Callable[[Path, str], Iterator[Labelled]]] = {
    'coco_panoptic': _coco,
    'labelme_facade': _facade,
}


def renumbered(
    label: NDArray[np.integer], names: Mapping[int, str], wanted: Vocabulary
) -> NDArray[np.uint8]:
    """Return a label (H, W) by the places of its names in a vocabulary."""
    places = {name: place for place, c in enumerate(wanted.classes) for name in c.names}
    rest = places.get('background', UNLABELLED)
    found = np.full(label.shape, UNLABELLED, np.uint8)
    for number, name in names.items():
        found[label == number] = places.get(name, rest)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('layout', choices=READERS)
    parser.add_argument('folder', type=Path)
    parser.add_argument('output', type=Path)
    parser.add_argument('--classes', type=resolve, required=True)
    parser.add_argument('--split', default='train')
    parser.add_argument('--limit', type=int, help='so many images')
    args = parser.parse_args()
    images, labels = (args.output / 'val' / part for part in ('images', 'labels'))
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for image, label, names in islice(READERS[args.layout](args.folder, args.split), args.limit):
        link = images / image.name
        link.unlink(missing_ok=True)
        link.symlink_to(image.resolve())
        target = str(labels / f'{image.stem}.png')
        assert cv2.imwrite(target, renumbered(label, names, args.classes)), target


if __name__ == '__main__':
    main()
