"""A labelled image of a data set, and a data set as a list of them."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

IGNORE = -1  # class index of pixels that no measure looks at
TABLE_SIZE = 1 << 16  # label images hold 8 or 16 bits


class DataSetError(SemanticFastSamError):
    """A data set's folder, file or label is not as its layout says."""


@dataclass(frozen=True)
class Sample:
    """One image and its label image."""

    name: str  # unique in the data set, safe as a file name
    sequence: str  # frames of one recording share it; '' where images are independent
    image: Path
    label: Path


@dataclass(frozen=True)
class DataSet:
    """Samples in the order of their recording, and what their labels mean."""

    name: str
    split: str
    vocabulary: Vocabulary  # class index i is its i-th class, from 0
    samples: tuple[Sample, ...]
    table: NDArray[np.int16]  # (65536,) label value -> class index, IGNORE where it has none
    is_video: bool = False  # frames of a sequence follow each other closely
    stride: int = 1  # every so many-th sample was selected

    def select(self, stride: int, limit: int) -> 'DataSet':
        """Return every stride-th sample, at most `limit` of them (0: all)."""
        chosen = self.samples[::stride]
        chosen = chosen[:limit] if limit else chosen
        return replace(self, samples=chosen, stride=self.stride * stride)

    def read(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Return the image (H, W, 3) RGB and the class indices (H, W).

        Raises:
            DataSetError: a file is missing or unreadable, or the sizes differ.
        """
        image = read_file(sample.image, cv2.IMREAD_COLOR)
        label = read_file(sample.label, cv2.IMREAD_UNCHANGED)
        if label.ndim != 2 or label.dtype not in (np.uint8, np.uint16):
            raise DataSetError(
                f'{sample.label} is {label.shape} {label.dtype}: a label image has one channel '
                'of class numbers, 8 or 16 bits'
            )
        if label.shape != image.shape[:2]:
            raise DataSetError(
                f'{sample.label} is {label.shape[1]}x{label.shape[0]}, but {sample.image} is '
                f'{image.shape[1]}x{image.shape[0]}'
            )
        return np.ascontiguousarray(image[..., ::-1]), self.table[label]


def value_table(indices: dict[int, int]) -> NDArray[np.int16]:
    """Return a table from label values to class indices; other values are ignored."""
    table = np.full(TABLE_SIZE, IGNORE, np.int16)
    for value, index in indices.items():
        table[value] = index
    return table


def read_file(path: Path, flag: int) -> NDArray[np.uint8]:
    """Read an image by one of OpenCV's flags.

    Raises:
        DataSetError: it is missing or not readable.
    """
    if not path.is_file():
        raise DataSetError(f'missing file {path}')
    content = cv2.imread(str(path), flag)
    if content is None:
        raise DataSetError(f'{path} is not a readable image')
    return np.asarray(content)
