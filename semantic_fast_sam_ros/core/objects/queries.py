"""Masks found by words that stand in no vocabulary: how likely it is that a mask shows them."""

import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import (
    TextEncoder,
    extra_negatives,
    look_vectors,
)
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

MAX_CHARACTERS = 1000
MAX_WORDS = 32  # in one query
MAX_KEPT = 4096  # vectors of names
# Names that a network of this sharpness hardly tells from the word itself do not rival it: at an
# image of exactly the word they would get at least exp(-5) of its share. Of 1 to 6, 5 found the
# most in benchmarks/query_scores.py by words beside which a name means the same.
INSEPARABLE = 5.0
LINES = '\n\t\r'


@dataclass(frozen=True)
class Query:
    """Words as vectors, beside those of all else that a mask may show."""

    text: str
    names: tuple[str, ...]  # (Q,)
    words: NDArray[np.float32]  # (Q, dim), of unit length
    others: NDArray[np.float32]  # (A, dim), of unit length
    rivals: NDArray[np.bool_]  # (Q, A), which of the others a word is compared with
    sharpness: float  # of cosines to logits

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how likely it is that each mask shows each word, (N, Q) float32 in [0, 1].

        The softmax of a word against its rivals, as the network's own scale has it; the words of
        a query do not rival each other. Against generic names as in LERF (Kerr et al., 2023).

        Args:
            features: (N, dim) float32 unit vectors of masks.
        """
        own = self.sharpness * (features @ self.words.T)
        if not len(self.others):
            return np.ones_like(own)
        other = self.sharpness * (features @ self.others.T)
        gaps = np.where(self.rivals[None], other[:, None] - own[..., None], -np.inf)
        with np.errstate(over='ignore'):  # a share of 0 then
            shares: NDArray[np.float32] = 1 / (1 + np.exp(gaps).sum(2))
        return shares


class QueryEncoder:
    """Encodes queries; what was encoded before is kept. For one thread at a time."""

    def __init__(self, encoder: TextEncoder, templates: Sequence[str]) -> None:
        """Take what encodes texts.

        Args:
            encoder: of texts.
            templates: sentences with one `{}` each; the mean of a name in all of them counts.
        """
        self._encoder, self._templates = encoder, templates
        self._kept: dict[tuple[str, ...], NDArray[np.float32]] = {}

    def encode(
        self, text: str, vocabulary: Vocabulary, negatives: Mapping[str, str], sharpness: float
    ) -> Query | None:
        """Return a query; None for an empty one.

        Args:
            text: words, as in vocabularies: `mug | cup, wet floor`.
            vocabulary: its names rival the words, but for those that the words name.
            negatives: lists of more such names, by setting.
            sharpness: of cosines to logits.

        Raises:
            ConfigError: the text is none that can be looked for, or the negatives are no names.
        """
        asked = parse_query(text)
        if asked is None:
            return None
        listed = (extra_negatives(vocabulary, names, s) for s, names in negatives.items())
        extra = {c.name: c for c in itertools.chain(*listed)}
        rivals = [*vocabulary.classes, *extra.values()]
        looks = [(c.name, look) for c in rivals for look in c.appearances]
        words = self._vectors([c.names for c in asked.classes])
        others = self._vectors([look for _, look in looks])
        named = [
            [any(map(Vocabulary((word,)).find, (name, *look))) for name, look in looks]
            for word in asked.classes
        ]
        apart = sharpness * (1 - words @ others.T) > INSEPARABLE
        return Query(text, asked.names, words, others, apart & ~np.array(named), sharpness)

    def _vectors(self, looks: Sequence[tuple[str, ...]]) -> NDArray[np.float32]:
        new = [look for look in dict.fromkeys(looks) if look not in self._kept]
        if len(self._kept) + len(new) > MAX_KEPT:
            self._kept.clear()
            new = list(dict.fromkeys(looks))
        if new:
            vectors = look_vectors(self._encoder, new, self._templates).cpu().numpy()
            self._kept |= dict(zip(new, vectors, strict=True))
        return np.stack([self._kept[look] for look in looks])


def parse_query(text: str) -> Vocabulary | None:
    """Read words that are looked for, `mug | cup, wet floor`; None where there are none.

    Raises:
        ConfigError: too much text, characters that no text has, or no list of names.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f'a query has at most {MAX_CHARACTERS} characters, not {len(text)}: {text[:20]!r} ...'
        )
    for character in text:
        if character == '\ufffd':
            raise ConfigError('the query is no UTF-8')
        if unicodedata.category(character).startswith('C') and character not in LINES:
            raise ConfigError(f'the query has the control character {character!r} in it')
    if not text.strip():
        return None
    try:
        asked = parse_list(text)
    except ConfigError as error:
        raise ConfigError(str(error).replace('vocabulary entry', 'query entry')) from error
    if len(asked) > MAX_WORDS:
        raise ConfigError(f'a query has at most {MAX_WORDS} names, not {len(asked)}')
    return asked
