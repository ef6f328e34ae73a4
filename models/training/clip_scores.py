"""How often the small CLIP names segments rightly, on photos that it was not trained on."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as functional
from clip_names import (
    CAMVID,
    CLOTHES,
    COCO,
    CONCEPTS,
    FACADE,
    HELD_OUT_NAMES,
    MORE_HELD_OUT,
    NAMES,
)
from clip_segments import Photo
from open_clip.model import CLIP
from small_clip import MEAN, SIZE, classifier, normalise
from torch import Tensor

from semantic_fast_sam_ros.core.open_vocabulary import crops

SCALE = 1.1  # of the crops, as the profile has it
MINIMUM_AREA = 200  # pixels
TOP = 5
Names = dict[str, str]  # concept -> the name that it is asked by
QUESTIONS: dict[str, dict[str, Names]] = {  # by layout and kind
    'camvid': {
        'names': {concept: name for name, concept in CAMVID.items()},
        'kept out 1': {concept: HELD_OUT_NAMES[name][0] for name, concept in CAMVID.items()},
        'kept out 2': {concept: HELD_OUT_NAMES[name][1] for name, concept in CAMVID.items()},
    },
    'coco_panoptic': {
        'names': {concept: concept.replace('-', ' ') for concept in COCO},
        'kept out': {c: MORE_HELD_OUT.get(c, c.replace('-', ' ')) for c in COCO},
    },
    'labelme_facade': {'names': {concept: name for name, concept in FACADE.items()}},
    'clothing': {'names': {concept: NAMES[concept][0] for concept in (*CLOTHES, 'person')}},
}


@torch.inference_mode()
def embed_photos(model: CLIP, photos: Iterable[Photo], fill: str = 'blur') -> tuple[Tensor, ...]:
    """Return features (N, dim), concepts (N,) and image numbers (N,) of all segments."""
    mean, found = torch.tensor(MEAN) * 255, []
    for number, photo in enumerate(photos):
        if (it := photo.read(MINIMUM_AREA)) is None:
            continue
        pixels = torch.from_numpy(it.image).permute(2, 0, 1)
        cut = crops.mask_crops(pixels, it.masks, it.boxes, SIZE, SCALE, fill, mean)
        features = model.encode_image(normalise(cut), normalize=True)
        found.append((features, it.concepts, torch.full((len(features),), number)))
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def better_names(features: Tensor, concepts: Tensor, asked: Names, texts: Tensor) -> Tensor:
    """Return how many names are likelier than the right one, of segments that have one.

    Args:
        features: (N, dim) unit vectors of segments.
        concepts: (N,) that they show.
        asked: the names to choose from.
        texts: (dim, names) their unit vectors.
    """
    rows = torch.full((len(CONCEPTS),), -1)
    rows[[CONCEPTS.index(concept) for concept in asked]] = torch.arange(len(asked))
    right = rows[concepts]
    cosines = features[right >= 0] @ texts
    return (cosines > cosines.gather(1, right[right >= 0, None])).sum(1)


def accuracies(
    source: str,
    features: Tensor,
    concepts: Tensor,
    encode: Callable[[list[str]], Tensor],
) -> dict[str, list[float]]:
    """Return top-1 and top-5 per cent by kind of names.

    Args:
        source: layout of the data set.
        features: (N, dim) unit vectors of segments.
        concepts: (N,) that they show.
        encode: returns the unit vectors (dim, names) of names.
    """
    found = {}
    for kind, asked in QUESTIONS[source].items():
        chosen: Any = slice(None)
        if source == 'coco_panoptic' and kind != 'names':  # of those with another name only
            others = torch.tensor([CONCEPTS.index(c) for c in MORE_HELD_OUT])
            chosen = torch.isin(concepts, others)
        texts = encode(list(asked.values()))
        better = better_names(features[chosen], concepts[chosen], asked, texts)
        found[kind] = [round(100 * float((better < n).float().mean()), 1) for n in (1, TOP)]
    return found


def report(model: CLIP, photos: Mapping[str, list[Photo]]) -> None:
    """Print the accuracies by data set."""
    for source, members in photos.items():
        features, concepts, _ = embed_photos(model, members)
        found = accuracies(source, features, concepts, partial(classifier, model))
        print(source, len(concepts), found, flush=True)


def calibrate(model: CLIP, photos: list[Photo]) -> None:
    """Set the logit scale to that of the smallest cross-entropy on CamVid's even images.

    Prints the calibration error on the odd ones.
    """
    features, concepts, numbers = embed_photos(model, photos)
    texts = classifier(model, list(CAMVID))
    classes = torch.tensor([CONCEPTS.index(c) for c in CAMVID.values()])
    truth = (concepts[:, None] == classes).int().argmax(1)
    cosines, even = features @ texts, numbers % 2 == 0
    scales = [2 * 1.05**i for i in range(80)]
    scale = min(
        scales, key=lambda s: float(functional.cross_entropy(s * cosines[even], truth[even]))
    )
    model.logit_scale.data.fill_(math.log(scale))
    error = expected_calibration_error((scale * cosines[~even]).softmax(1), truth[~even])
    print(f'logit scale {scale:.1f}, ECE on odd images {100 * error:.1f} %', flush=True)


def expected_calibration_error(probabilities: Tensor, classes: Tensor) -> float:
    """Return the mean gap between confidence and accuracy over ten bins (Guo et al. 2017)."""
    confidence, predicted = probabilities.max(1)
    right = (predicted == classes).float()
    bins = (confidence * 10).long().clamp_max(9)
    gaps = [
        float(
            (bins == b).float().mean()
            * (confidence[bins == b].mean() - right[bins == b].mean()).abs()
        )
        for b in bins.unique()
    ]
    return sum(gaps)
