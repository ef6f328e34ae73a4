"""Data sets whose images people cut into regions, in the layouts of their owners.

The regions have no names here: what is measured is whether masks find them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.images.walking import files_below
from semantic_fast_sam_ros.evaluation.datasets import Source
from semantic_fast_sam_ros.evaluation.samples import DataSetError, read_picture

Regions = NDArray[np.int32]  # (H, W): one number a region, 0 where nothing is labelled


@dataclass(frozen=True)
class RegionSample:
    """One image and where its regions are."""

    name: str  # unique in the data set, safe as a file name
    image: Path
    label: Path
    read_cuts: Callable[[], list[Regions]]  # how each annotator cut the image

    def read(self) -> tuple[NDArray[np.uint8], list[Regions]]:
        """Return the image (H, W, 3) RGB and the regions of each annotator.

        Raises:
            DataSetError: a file is missing or unreadable, or the sizes differ.
        """
        image, cuts = read_picture(self.image), self.read_cuts()
        for cut in cuts:
            if cut.shape != image.shape[:2]:
                raise DataSetError(
                    f'{self.label} is {cut.shape[1]}x{cut.shape[0]}, but {self.image} is '
                    f'{image.shape[1]}x{image.shape[0]}'
                )
        return image, cuts


@dataclass(frozen=True)
class RegionSet:
    """Images that people cut into regions."""

    name: str
    split: str
    samples: tuple[RegionSample, ...]
    stride: int = 1  # every so many-th sample was selected

    def select(self, stride: int, limit: int) -> 'RegionSet':
        """Return every stride-th sample, at most `limit` of them (0: all)."""
        chosen = self.samples[::stride]
        chosen = chosen[:limit] if limit else chosen
        return replace(self, samples=chosen, stride=self.stride * stride)


def read_region_set(kind: str, source: Source) -> RegionSet:
    """List a data set.

    Raises:
        DataSetError: the folder is not in that layout, holds no such split, or lacks a label.
    """
    if not source.folder.is_dir():
        raise DataSetError(f'no folder {source.folder}')
    region_set = READERS[kind](source)
    if not region_set.samples:
        raise DataSetError(f'{source.folder}: no images of the split {source.split!r} for {kind}')
    for sample in region_set.samples:
        for file, lacks in ((sample.label, sample.image), (sample.image, sample.label)):
            if not file.is_file():
                raise DataSetError(f'{lacks} has no counterpart: missing file {file}')
    return region_set


def bsds500(source: Source) -> RegionSet:
    """Read BSDS500 (Arbeláez et al., PAMI 2011): images/SPLIT and groundTruth/SPLIT/NAME.mat."""
    bases = [source.folder / inner for inner in ('', 'data', 'BSDS500/data', 'BSR/BSDS500/data')]
    base = next((b for b in bases if (b / 'groundTruth' / source.split).is_dir()), None)
    if base is None:
        raise DataSetError(
            f'{source.folder} holds no images/{source.split} and groundTruth/{source.split}, nor '
            'does BSR/BSDS500/data in it'
        )
    images = files_below(base / 'images' / source.split, ('.jpg',), deep=False)
    labels = [base / 'groundTruth' / source.split / f'{image.stem}.mat' for image in images]
    samples = (
        RegionSample(image.stem, image, label, partial(_read_berkeley, label))
        for image, label in zip(images, labels, strict=True)
    )
    return RegionSet('bsds500', source.split, tuple(samples))


def coco_panoptic(source: Source) -> RegionSet:
    """Read COCO panoptic: SPLIT2017, annotations/panoptic_SPLIT2017.json and its folder of PNGs.

    The regions are those of things and of stuff; crowds, which are no single region, are left out.
    """
    split = f'{source.split.removesuffix("2017")}2017'
    listed = source.folder / 'annotations' / f'panoptic_{split}.json'
    if not listed.is_file():
        raise DataSetError(f'missing file {listed}')
    try:
        content = json.loads(listed.read_text(encoding='utf-8'))
        names = {image['id']: image['file_name'] for image in content['images']}
        samples = tuple(
            _coco_sample(source.folder / split, listed.with_suffix(''), annotation, names)
            for annotation in content['annotations']
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataSetError(f'{listed} is no list of panoptic annotations: {error!r}') from error
    return RegionSet('coco_panoptic', source.split, samples)


READERS: dict[str, Callable[[Source], RegionSet]] = {
    'bsds500': bsds500,
    'coco_panoptic': coco_panoptic,
}


def _coco_sample(
    images: Path, labels: Path, annotation: dict[str, Any], names: dict[int, str]
) -> RegionSample:
    image = images / names[annotation['image_id']]
    label = labels / annotation['file_name']
    single = [segment['id'] for segment in annotation['segments_info'] if not segment['iscrowd']]
    return RegionSample(image.stem, image, label, partial(_read_panoptic, label, single))


def _read_berkeley(label: Path) -> list[Regions]:
    from scipy.io import loadmat

    try:
        annotators = loadmat(label)['groundTruth'][0]
        return [one['Segmentation'][0, 0].astype(np.int32) for one in annotators]
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise DataSetError(f'{label} holds no groundTruth of BSDS500: {error!r}') from error


def _read_panoptic(label: Path, single: list[int]) -> list[Regions]:
    coded = read_picture(label).astype(np.int32)
    numbers = coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]
    return [np.where(np.isin(numbers, single), numbers, 0).astype(np.int32)]
