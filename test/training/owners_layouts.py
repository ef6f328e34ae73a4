"""Data sets of one image, written in their owners' layouts."""

import json
from pathlib import Path

import cv2
import labelme_facade
import numpy as np
from scipy.io import savemat

CATEGORIES = ('person', 'bicycle', 'wall-other-merged', 'bed', 'grass-merged')  # of COCO's


def write(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), pixels)


def write_image(file: Path, label: np.ndarray) -> None:
    write(file, np.zeros((*label.shape[:2], 3), np.uint8))


def write_camvid(folder: Path, label: np.ndarray) -> None:
    write_image(folder / 'train' / 'images' / 'a.png', label)
    write(folder / 'train' / 'labels' / 'a.png', label.astype(np.uint8))


def write_labelme_facade(folder: Path, label: np.ndarray) -> None:
    """Write indices into the colours; one beyond them is black."""
    colours = np.array([*labelme_facade.COLOURS.values(), (0, 0, 0)], np.uint8)
    write_image(folder / 'images' / 'a.jpg', label)
    write(folder / 'labels' / 'a.png', colours[label][..., ::-1])


def write_clothing(folder: Path, label: np.ndarray) -> None:
    write_image(folder / 'photos' / 'a.jpg', label)
    (folder / 'annotations' / 'pixel-level').mkdir(parents=True)
    savemat(folder / 'annotations' / 'pixel-level' / 'a.mat', {'groundtruth': label})


def write_coco_panoptic(folder: Path, label: np.ndarray) -> None:
    """Write indices into CATEGORIES as segments with numbers above a byte; -1 is no segment."""
    numbers = np.where(label < 0, 0, label + 70000)
    coded = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], -1)
    write_image(folder / 'train2017' / 'a.jpg', label)
    write(folder / 'annotations' / 'panoptic_train2017' / 'a.png', coded.astype(np.uint8))
    segments = [
        {'id': int(i) + 70000, 'category_id': int(i) + 1} for i in np.unique(label[label >= 0])
    ]
    content = {
        'categories': [{'id': i, 'name': n} for i, n in enumerate(CATEGORIES, start=1)],
        'images': [{'id': 7, 'file_name': 'a.jpg'}],
        'annotations': [{'image_id': 7, 'file_name': 'a.png', 'segments_info': segments}],
    }
    (folder / 'annotations' / 'panoptic_train2017.json').write_text(json.dumps(content))


WRITERS = {
    'camvid': write_camvid,
    'labelme_facade': write_labelme_facade,
    'clothing': write_clothing,
    'coco_panoptic': write_coco_panoptic,
}
