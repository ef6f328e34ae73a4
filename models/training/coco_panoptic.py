"""Read COCO panoptic: SPLIT2017, annotations/panoptic_SPLIT2017.json and its folder of PNGs."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.images.files import read_image


def listed(folder: Path, split: str) -> list[tuple[Path, Path, dict[int, str]]]:
    """List (image, label, names of the label's numbers); what is not named is unknown."""
    split = f'{(split or "train").removesuffix("2017")}2017'
    file = folder / 'annotations' / f'panoptic_{split}.json'
    content = json.loads(file.read_text(encoding='utf-8'))
    names = {category['id']: category['name'] for category in content['categories']}
    images = {image['id']: image['file_name'] for image in content['images']}
    return [
        (
            folder / split / images[one['image_id']],
            file.with_suffix('') / one['file_name'],
            {s['id']: names[s['category_id']] for s in one['segments_info']},
        )
        for one in content['annotations']
    ]


def read_label(path: Path) -> NDArray[np.int64]:
    """Return the number of the segment at each pixel, (H, W)."""
    return read_image(path).astype(np.int64) @ np.array([1, 256, 65536])
