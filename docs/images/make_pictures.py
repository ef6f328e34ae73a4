"""Make the README's pictures: the shipped models' overlays of a street photo."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.objects.queries import QueryEncoder
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.outputs.found import Found, heat
from semantic_fast_sam_ros.core.outputs.overlay import overlay
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.tools.sources import street_photo

SIDE, TOP = 600, 80  # pixels of the square that is shown of the photo, and above it
VOCABULARIES = (
    'bus, building, tree, sidewalk, person, jeans',
    'vehicle, house, leaves, street, human, window, trousers | jeans, shoe',
)
QUERIES = ('automobile | van', 'house')


def main() -> None:
    """Write overlay.jpg, open_vocabulary.jpg and query.jpg beside this script."""
    whole = street_photo()
    height = round(whole.shape[0] * SIDE / whole.shape[1])
    photo = cv2.resize(whole, (SIDE, height), interpolation=cv2.INTER_AREA)
    shown = slice(TOP, TOP + SIDE)
    write('overlay.jpg', photo[shown], labelled(photo, 'embedded')[shown])
    write('query.jpg', *(answer[shown] for answer in found(photo, 'embedded_open')))
    asked = [labelled(photo, 'embedded_open', vocabulary=names) for names in VOCABULARIES]
    write('open_vocabulary.jpg', *(drawn[shown] for drawn in asked))


def labelled(photo: NDArray[np.uint8], profile: str, **settings: object) -> NDArray[np.uint8]:
    """Return the overlay that a profile makes of a photo."""
    segment = SemanticFastSam.from_profile(profile, **settings)
    return overlay(photo, segment(photo), segment.config.output)


def found(photo: NDArray[np.uint8], profile: str) -> Iterator[NDArray[np.uint8]]:
    """Give a photo for each of QUERIES: what is like it has its colours, all else is grey."""
    segment = SemanticFastSam.from_profile(profile)
    assert segment.encoder is not None
    config, model, result = segment.config, segment.encoder.model, segment(photo, features=True)
    assert result.features is not None
    encoder = QueryEncoder(model, TEMPLATES[config.clip.templates])
    negatives = {
        'clip.negatives': config.clip.negatives,
        'query.negatives': config.query.negatives,
    }
    grey = 0.35 * photo.mean(2, keepdims=True)
    for text in QUERIES:
        query = encoder.encode(text, segment.vocabulary, negatives, model.scale)
        assert query is not None
        scores = query.scores(result.features)
        share = heat(result, Found(query.names, scores, config.query.threshold))[..., None] / 255
        yield (share * photo + (1 - share) * grey).astype(np.uint8)


def write(name: str, *pictures: NDArray[np.uint8]) -> None:
    """Write RGB pictures side by side."""
    target = Path(__file__).with_name(name)
    both = np.hstack(pictures)[..., ::-1]
    cv2.imwrite(str(target), both, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == '__main__':
    main()
