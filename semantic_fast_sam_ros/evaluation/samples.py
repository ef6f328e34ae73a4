"""A labelled image of a data set, and a data set as a list of them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError, SemanticFastSamError
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.settings.node import InputSettings
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
    settings: InputSettings = field(
        default_factory=InputSettings
    )  # limits, and how 16 bits are seen

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
        image, values = self.read_values(sample)
        return image, self.table[values]

    def read_values(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.unsignedinteger]]:
        """Return the image (H, W, 3) RGB and the label image (H, W) as stored; as `read`."""
        image = read_picture(sample.image, self.settings)
        try:
            label = read_labels(sample.label, self.settings.maximum_pixels)
        except FrameError as error:
            raise DataSetError(str(error)) from error
        if label.shape != image.shape[:2]:
            raise DataSetError(
                f'{sample.label} is {label.shape[1]}x{label.shape[0]}, but {sample.image} is '
                f'{image.shape[1]}x{image.shape[0]}'
            )
        return image, label


def value_table(indices: dict[int, int]) -> NDArray[np.int16]:
    """Return a table from label values to class indices; other values are ignored."""
    table = np.full(TABLE_SIZE, IGNORE, np.int16)
    for value, index in indices.items():
        table[value] = index
    return table


def read_picture(path: Path, settings: InputSettings | None = None) -> NDArray[np.uint8]:
    """Read an image as (H, W, 3) RGB; raises DataSetError if it is missing or not readable."""
    settings = settings or InputSettings()
    try:
        return read_image(path, settings.maximum_pixels, ToneMapper(settings.mono16))
    except FrameError as error:
        raise DataSetError(str(error)) from error
