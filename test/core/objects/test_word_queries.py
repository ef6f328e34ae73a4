"""Words against what else a mask may show; hand-computed."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.objects.queries import (
    MAX_CHARACTERS,
    MAX_WORDS,
    Query,
    QueryEncoder,
    parse_query,
)
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

AXES = {'road': 0, 'car': 1, 'mug': 2, 'stuff': 3, 'dog': 4}
SCALE = 8.0


class Axes:
    """Encodes each known name as a unit vector of its own; `auto` lies near to `car`."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return (T, 5) unit vectors."""
        self.encoded += len(texts)
        return torch.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Tensor:
        if 'auto' in text:
            return torch.tensor([0, 0.99, 0, 0, math.sqrt(1 - 0.99**2)])
        return torch.eye(5)[next(i for name, i in AXES.items() if name in text.lower())]


def query(
    text: str, vocabulary: str | Vocabulary = 'road, car', negatives: str = 'stuff'
) -> Query:
    names = parse_list(vocabulary) if isinstance(vocabulary, str) else vocabulary
    found = QueryEncoder(Axes(), ['{}']).encode(text, names, {'query.negatives': negatives}, SCALE)
    assert found is not None
    return found


def mask(**parts: float) -> np.ndarray:
    """Return the vector of a mask, (1, 5), by its parts along the names."""
    vector = np.zeros((1, 5), np.float32)
    for name, part in parts.items():
        vector[0, AXES[name]] = part
    return vector


def test_score_is_the_share_of_the_word_beside_vocabulary_and_negatives() -> None:
    (score,) = query('mug').scores(mask(mug=0.8, car=0.6))[0]
    rivals = math.exp(SCALE * 0.6) + 2  # car; road and stuff at 0
    assert score == pytest.approx(math.exp(SCALE * 0.8) / (math.exp(SCALE * 0.8) + rivals))


def test_a_word_of_the_vocabulary_does_not_rival_itself() -> None:
    for text in ('car', 'Car', 'car | dog'):
        assert query(text).scores(mask(car=1.0))[0, 0] > 0.85, text


def test_a_name_that_the_network_cannot_tell_from_the_word_does_not_rival_it() -> None:
    near, far = query('auto'), query('dog')
    assert near.rivals.tolist() == [[True, False, True]]
    assert far.rivals.tolist() == [[True, True, True]]


def test_words_of_a_query_do_not_rival_each_other() -> None:
    both = query('mug, dog')
    alone = [query(text).scores(mask(mug=0.7, dog=0.7))[0, 0] for text in ('mug', 'dog')]
    assert both.names == ('mug', 'dog')
    assert both.scores(mask(mug=0.7, dog=0.7))[0].tolist() == pytest.approx(alone)


def test_what_is_like_nothing_known_scores_low() -> None:
    assert query('mug').scores(mask())[0, 0] == pytest.approx(1 / 4)


def test_synonyms_are_one_word_between_their_vectors() -> None:
    (word,) = query('mug | dog').words
    assert word.tolist() == pytest.approx(torch.eye(5)[[2, 4]].sum(0).div(math.sqrt(2)).tolist())


def test_each_look_of_a_group_rivals_the_words_unless_it_or_the_group_is_asked_for() -> None:
    looks = (('road',), ('car',))
    grouped = Vocabulary((SemanticClass(1, 'dog', (0, 0, 0), ('road', 'car'), looks=looks),))
    assert query('mug', grouped).rivals.tolist() == [[True, True, True]]
    assert query('road', grouped).rivals.tolist() == [[False, True, True]]
    assert query('dog', grouped).rivals.tolist() == [[False, False, True]]


def test_without_masks_there_are_no_scores() -> None:
    assert query('mug, dog').scores(np.zeros((0, 5), np.float32)).shape == (0, 2)


def test_extreme_scales_give_numbers() -> None:
    sharp = QueryEncoder(Axes(), ['{}']).encode('mug', parse_list('road'), {}, 1e5)
    assert sharp is not None
    assert sharp.scores(np.vstack([mask(mug=1), mask(road=1)]))[:, 0].tolist() == [1, 0]


def test_names_are_encoded_once() -> None:
    texts = Axes()
    encoder = QueryEncoder(texts, ['a {}', 'the {}'])
    for text in ('mug', 'mug', 'mug, road'):
        encoder.encode(text, parse_list('road, car'), {'query.negatives': 'stuff'}, SCALE)
    assert texts.encoded == 2 * 4


@pytest.mark.parametrize('text', ['', '  ', '\n'])
def test_an_empty_text_asks_for_nothing(text: str) -> None:
    assert parse_query(text) is None


def test_lines_are_separated_as_in_vocabularies() -> None:
    asked = parse_query('red mug | cup\nwet floor; dog')
    assert asked is not None and asked.names == ('red mug', 'wet floor', 'dog')


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('x' * 10_000, f'at most {MAX_CHARACTERS} characters, not 10000'),
        ('mug\0', r"control character '\\x00'"),
        ('\x1b[31mmug', r"control character '\\x1b'"),
        ('mug\u202e', 'control character'),
        ('\ud800', 'control character'),
        ('mug \ufffd', 'no UTF-8'),
        ('mug,,dog', 'query entry 2 .* empty name'),
        ('mug, mug', 'twice'),
        (', '.join(f'thing {i}' for i in range(MAX_WORDS + 1)), f'at most {MAX_WORDS} names'),
    ],
)
def test_what_cannot_be_looked_for_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_query(text)


def test_bad_negatives_are_named() -> None:
    with pytest.raises(ConfigError, match=r'query\.negatives'):
        query('mug', negatives='wall,,floor')
