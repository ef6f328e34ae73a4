"""Write tiny data sets in the folder layouts as their owners publish them."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

HEIGHT, WIDTH = 24, 40


def picture(seed: int) -> NDArray[np.uint8]:
    """Make an RGB image (24, 40, 3) whose content moves two pixels to the right a seed."""
    texture = np.random.default_rng(7).integers(0, 255, (6, 20, 3), np.uint8)
    large = cv2.resize(texture, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.roll(large, 2 * seed, 1)[:, :WIDTH])


def labels(seed: int, values: tuple[int, ...]) -> NDArray[np.uint8]:
    """Make a label image (24, 40) of upright stripes of these values, one row of 255."""
    stripes = np.arange(WIDTH) + 2 * seed
    drawn = np.array(values, np.uint8)[stripes // 8 % len(values)]
    label = np.repeat(drawn[None], HEIGHT, 0)
    label[0] = 255
    return label


def write(path: Path, content: NDArray[np.uint8]) -> Path:
    """Write an image, RGB or one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), content[..., ::-1] if content.ndim == 3 else content)
    return path


def write_pairs(images: Path, targets: Path, names: list[str], values: tuple[int, ...]) -> None:
    """Write images and label images of these names."""
    for seed, name in enumerate(names):
        write(images / f'{name}.png', picture(seed))
        write(targets / f'{name}.png', labels(seed, values))


def camvid(folder: Path, split: str = 'val', count: int = 3) -> Path:
    """Write DIR/SPLIT/images + labels."""
    names = [f'0016E5_{7959 + 2 * i:05d}' for i in range(count)]
    write_pairs(folder / split / 'images', folder / split / 'labels', names, (0, 3, 8, 11))
    return folder


def segnet(folder: Path, split: str = 'val', count: int = 3) -> Path:
    """Write DIR/SPLIT + SPLITannot."""
    names = [f'0016E5_{7959 + 2 * i:05d}' for i in range(count)]
    write_pairs(folder / split, folder / f'{split}annot', names, (0, 3, 8, 11))
    return folder


def cityscapes(folder: Path, kind: str, values: tuple[int, ...]) -> Path:
    """Write leftImg8bit + gtFine with labelIds or labelTrainIds."""
    for seed, stem in enumerate(('ulm_000000_000019', 'bonn_000003_000019')):
        place = Path('val') / stem.split('_')[0]
        write(folder / 'leftImg8bit' / place / f'{stem}_leftImg8bit.png', picture(seed))
        write(folder / 'gtFine' / place / f'{stem}_gtFine_{kind}.png', labels(seed, values))
    return folder


def foggy(folder: Path) -> Path:
    """Write Foggy Driving: finely and coarsely annotated images side by side."""
    for seed, (part, kind) in enumerate((('test', 'gtFine'), ('test_extra', 'gtCoarse'))):
        place, stem = Path(part) / 'public', f'web_{seed}'
        write(folder / 'leftImg8bit' / place / f'{stem}_leftImg8bit.png', picture(seed))
        write(folder / kind / place / f'{stem}_{kind}_labelIds.png', labels(seed, (7, 26, 4)))
    return folder


def ade20k(folder: Path) -> Path:
    """Write SceneParse150."""
    top = folder / 'ADEChallengeData2016'
    write_pairs(
        top / 'images' / 'validation',
        top / 'annotations' / 'validation',
        ['ADE_val_00000001', 'ADE_val_00000002'],
        (0, 1, 150),
    )
    return folder


def halves(columns: int) -> NDArray[np.int32]:
    """Cut an image (24, 40) in two: region 1 on the left, so many columns wide, 2 on the right."""
    return np.where(np.arange(WIDTH) < columns, 1, 2)[None].repeat(HEIGHT, 0).astype(np.int32)


def bsds500(folder: Path, split: str = 'val', count: int = 2) -> Path:
    """Write images/SPLIT + groundTruth/SPLIT: two annotators, who cut at other columns."""
    for seed in range(count):
        name = str(2018 + seed)
        write(folder / 'images' / split / f'{name}.jpg', picture(seed))
        cuts = [{'Segmentation': halves(c).astype(np.uint16), 'Boundaries': 0} for c in (10, 30)]
        truth = np.empty((1, len(cuts)), object)
        truth[0] = cuts
        label = folder / 'groundTruth' / split / f'{name}.mat'
        label.parent.mkdir(parents=True, exist_ok=True)
        savemat(label, {'groundTruth': truth})
    return folder


def coco_panoptic(folder: Path, split: str = 'val') -> Path:
    """Write one image with a thing, a stuff region whose id needs two bytes, and a crowd."""
    numbers = halves(10)
    numbers[numbers == 2] = 256 * 7 + 9
    numbers[:12, 30:] = 256 * 256 * 5
    write(folder / f'{split}2017' / '000000000139.jpg', picture(0))
    coded = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], -1).astype(np.uint8)
    coded[20:, :4] = 0  # not labelled
    annotations = folder / 'annotations'
    write(annotations / f'panoptic_{split}2017' / '000000000139.png', coded)
    segments = [(1, 0), (256 * 7 + 9, 0), (256 * 256 * 5, 1)]
    listed = {
        'images': [{'id': 139, 'file_name': '000000000139.jpg'}],
        'annotations': [
            {
                'image_id': 139,
                'file_name': '000000000139.png',
                'segments_info': [
                    {'id': number, 'category_id': 1, 'iscrowd': crowd}
                    for number, crowd in segments
                ],
            }
        ],
    }
    (annotations / f'panoptic_{split}2017.json').write_text(json.dumps(listed))
    return folder
