"""The vectors of masks in results: a row a mask, where they are asked for."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from semantic_fast_sam_ros.core.objects.queries import QueryEncoder
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

NAMES = 'road, building, tree, sky, pole'


@pytest.fixture(scope='module')
def pipeline() -> Iterator[SemanticFastSam]:
    """Give the CLIP that ships, exact."""
    yield SemanticFastSam.from_profile(
        'embedded_open', vocabulary=NAMES, device='cpu', precision='fp32', masks__image_size=320
    )


@pytest.fixture(scope='module')
def photo(street: np.ndarray) -> np.ndarray:
    """Give people before a bus, (320, 240, 3)."""
    return np.asarray(cv2.resize(street, (240, 320), interpolation=cv2.INTER_AREA))


def test_a_result_has_a_unit_vector_of_each_mask_where_asked(
    pipeline: SemanticFastSam, photo: np.ndarray
) -> None:
    features = pipeline(photo, features=True).features
    assert features is not None and features.dtype == np.float32
    assert features.shape == (len(pipeline(photo).mask_ids), pipeline.encoder.model.dimension)
    assert len(features) > 3
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)


def test_they_are_left_on_the_device_where_nobody_asks(
    pipeline: SemanticFastSam, photo: np.ndarray
) -> None:
    assert pipeline(photo).features is None


def test_rows_belong_to_the_masks_names_come_of_them(
    pipeline: SemanticFastSam, photo: np.ndarray
) -> None:
    result = pipeline(photo, features=True)
    classifier = pipeline._labeller.prepare(parse_list(NAMES))
    best = (result.features @ classifier.weights.numpy()).argmax(1)
    assert best.tolist() == (result.class_ids[:, 0] - 1).tolist()


def test_an_image_without_masks_has_no_rows(pipeline: SemanticFastSam) -> None:
    features = pipeline(np.full((96, 128, 3), 114, np.uint8), features=True).features
    assert features is not None and features.shape == (0, pipeline.encoder.model.dimension)


def test_labels_taken_over_come_without(pipeline: SemanticFastSam, photo: np.ndarray) -> None:
    assert pipeline(photo, pipeline(photo), features=True).features is None


def test_a_labeller_of_a_closed_set_has_none(embedded: SemanticFastSam, photo: np.ndarray) -> None:
    assert embedded.encoder is None
    assert embedded(photo, features=True).features is None


def test_names_that_stay_keep_their_vectors(photo: np.ndarray) -> None:
    settings = {'device': 'cpu', 'precision': 'fp32', 'temporal__reuse': True}
    pipeline = SemanticFastSam.from_profile('embedded_open', vocabulary=NAMES, **settings)
    first = pipeline(photo, features=True)
    again = pipeline(photo, before=first, features=True)
    np.testing.assert_array_equal(again.features, first.features)


def test_the_query_of_a_mask_that_is_named_so_scores_as_its_name_does(
    pipeline: SemanticFastSam, photo: np.ndarray
) -> None:
    """Against the same names, less the negatives, the score is the labeller's own."""
    result = pipeline(photo, features=True)
    labeller = pipeline._labeller
    assert isinstance(labeller, ClipLabeller)
    encoder = QueryEncoder(labeller.model, TEMPLATES['photo'])
    asked = encoder.encode('road', parse_list(NAMES), {}, labeller.model.scale)
    road = asked.scores(result.features)[:, 0]
    rows = np.flatnonzero(result.class_ids[:, 0] == 1)
    assert len(rows)
    assert road[rows].tolist() == pytest.approx(result.class_scores[rows, 0].tolist(), abs=1e-4)


def test_words_find_what_the_photo_shows_and_nonsense_finds_nothing(
    pipeline: SemanticFastSam, photo: np.ndarray
) -> None:
    features = pipeline(photo, features=True).features
    model = pipeline.encoder.model
    encoder = QueryEncoder(model, TEMPLATES['photo'])
    negatives = {'query.negatives': pipeline.config.query.negatives}
    best = {}
    for text in ('human', 'asdfgh', 'a purple elephant', 'dog'):
        query = encoder.encode(text, pipeline.vocabulary, negatives, model.scale)
        best[text] = float(query.scores(features).max())
    threshold = pipeline.config.query.threshold
    assert best.pop('human') > threshold
    assert all(score < threshold for score in best.values()), best
