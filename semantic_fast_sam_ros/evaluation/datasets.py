"""Find images and labels in the folder layouts as the owners of the data sets publish them."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.images.walking import files_below, require_unique
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.evaluation.samples import DataSet, DataSetError, Sample, value_table

# mcordts/cityscapesScripts, helpers/labels.py: id of each train id, in their order.
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Source:
    """What the command line says of a data set."""

    folder: Path
    split: str
    vocabulary: str = ''  # generic: a vocabulary file, or the name of one that ships
    first_label: int = 0  # generic: label value of the first class; the others follow


def read_data_set(kind: str, source: Source) -> DataSet:
    """List a data set.

    Raises:
        DataSetError: the folder is not in that layout, holds no such split, or lacks a label.
        ConfigError: the vocabulary of a generic folder is wrong, or two images share a name.
    """
    if not source.folder.is_dir():
        raise DataSetError(f'no folder {source.folder}')
    data_set = READERS[kind](source)
    if not data_set.samples:
        raise DataSetError(f'{source.folder}: no images of the split {source.split!r} for {kind}')
    require_unique([sample.image for sample in data_set.samples], lambda image: image.stem)
    for sample in data_set.samples:
        if not (sample.label.is_file() or sample.label.is_symlink()):
            raise DataSetError(f'{sample.image} has no label: missing file {sample.label}')
    return data_set


def camvid(source: Source) -> DataSet:
    """Read CamVid's 11 classes: DIR/SPLIT/images + labels, or SegNet's DIR/SPLIT + SPLITannot."""
    layouts = [
        (source.folder / source.split / 'images', source.folder / source.split / 'labels'),
        (source.folder / source.split, source.folder / f'{source.split}annot'),
    ]
    images, labels = _first_existing(layouts)
    vocabulary = _shipped('camvid')
    pairs = _pairs(images, labels)
    table = value_table({i: i for i in range(len(vocabulary))})
    samples = (_sample(p, p[0].stem, p[0].stem.rpartition('_')[0]) for p in pairs)
    return DataSet('camvid', source.split, vocabulary, tuple(samples), table, is_video=True)


def cityscapes(source: Source) -> DataSet:
    """Read Cityscapes: leftImg8bit/SPLIT/CITY + gtFine/SPLIT/CITY, labelTrainIds or labelIds."""
    return _cityscapes_like('cityscapes', source, 'leftImg8bit', ('gtFine', 'gtCoarse'))


def foggy_driving(source: Source) -> DataSet:
    """Read Foggy Driving (Sakaridis et al., IJCV 2018): leftImg8bit + gtFine, else gtCoarse."""
    return _cityscapes_like('foggy_driving', source, 'leftImg8bit', ('gtFine', 'gtCoarse'))


def ade20k(source: Source) -> DataSet:
    """Read SceneParse150: images/SPLIT + annotations/SPLIT, value 0 = not annotated."""
    split = {'val': 'validation', 'train': 'training'}.get(source.split, source.split)
    bases = [source.folder, source.folder / 'ADEChallengeData2016']
    images, labels = _first_existing(
        [(base / 'images' / split, base / 'annotations' / split) for base in bases]
    )
    vocabulary = _shipped('ade20k')
    samples = (_sample(p, p[0].stem, '') for p in _pairs(images, labels))
    table = value_table({i + 1: i for i in range(len(vocabulary))})
    return DataSet('ade20k', split, vocabulary, tuple(samples), table)


def generic(source: Source) -> DataSet:
    """Read DIR/SPLIT/images + labels, or DIR/images/SPLIT + DIR/labels/SPLIT, of any classes.

    Label value `first_label` is the first class of the vocabulary, and so on; others are ignored.
    """
    if not source.vocabulary:
        raise DataSetError('a generic data set needs --classes: a vocabulary file, in label order')
    folder, split = source.folder, source.split
    images, labels = _first_existing(
        [
            (folder / split / 'images', folder / split / 'labels'),
            (folder / 'images' / split, folder / 'labels' / split),
        ]
    )
    vocabulary = vocabulary_files.resolve(source.vocabulary)
    pairs = _pairs(images, labels)
    samples = (_sample(p, p[0].stem, p[0].stem.rpartition('_')[0]) for p in pairs)
    table = value_table({source.first_label + i: i for i in range(len(vocabulary))})
    return DataSet('generic', split, vocabulary, tuple(samples), table, is_video=True)


READERS: dict[str, Callable[[Source], DataSet]] = {
    'camvid': camvid,
    'cityscapes': cityscapes,
    'foggy_driving': foggy_driving,
    'ade20k': ade20k,
    'generic': generic,
}


def _cityscapes_like(
    name: str, source: Source, image_folder: str, label_folders: tuple[str, ...]
) -> DataSet:
    top = source.folder / image_folder
    base = top / source.split if (top / source.split).is_dir() or name == 'cityscapes' else top
    vocabulary = _shipped('cityscapes')
    pairs = []
    by_train_id = False
    for image in files_below(base):
        stem = image.stem.removesuffix('_leftImg8bit')
        place = image.parent.relative_to(top)
        candidates = [
            source.folder / folder / place / f'{stem}_{folder}_{kind}.png'
            for folder in label_folders
            for kind in ('labelTrainIds', 'labelIds')
        ]
        found = next((c for c in candidates if c.is_file()), candidates[1])
        by_train_id = by_train_id or found.stem.endswith('labelTrainIds')
        pairs.append((image, found))
    kinds = {label.stem.rpartition('_')[2] for _, label in pairs}
    if len(kinds) > 1:
        raise DataSetError(f'{source.folder}: some labels are labelTrainIds, some labelIds')
    values = range(len(vocabulary)) if by_train_id else CITYSCAPES_IDS
    samples = (_sample(p, p[0].stem, '_'.join(p[0].stem.split('_')[:2])) for p in pairs)
    table = value_table({value: index for index, value in enumerate(values)})
    return DataSet(name, source.split, vocabulary, tuple(samples), table)


def _first_existing(layouts: Iterable[Pair]) -> Pair:
    pairs = list(layouts)
    for images, labels in pairs:
        if images.is_dir() and labels.is_dir():
            return images, labels
    looked = '; '.join(f'{images} + {labels}' for images, labels in pairs)
    raise DataSetError(f'no image and label folders: looked for {looked}')


def _pairs(images: Path, labels: Path) -> list[Pair]:
    """Pair images with the PNG label of the same name; a label without its image is an error."""
    found = files_below(images, deep=False)
    names = {_stem(image) for image in found}
    targets = {_stem(label): label for label in files_below(labels, ('.png',), deep=False)}
    for stem, label in targets.items():
        if stem not in names:
            raise DataSetError(f'{label} has no image in {images}')
    return [(image, targets.get(_stem(image), labels / f'{image.stem}.png')) for image in found]


def _stem(file: Path) -> str:
    """Return a name as other systems write it, too: macOS parts a letter from its accent."""
    return unicodedata.normalize('NFC', file.stem)


def _sample(pair: Pair, name: str, sequence: str) -> Sample:
    return Sample(name, sequence, *pair)


def _shipped(name: str) -> Vocabulary:
    return vocabulary_files.load(resource_folder('config') / 'vocabularies' / f'{name}.yaml')
