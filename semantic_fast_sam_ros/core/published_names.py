"""The names that a pipeline publishes: their ids, and their change while images are labelled."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.types import MaskLabeller
from semantic_fast_sam_ros.core.open_vocabulary.interface import (
    NameFinder,
    OpenVocabularyLabeller,
    require_same_encoding,
)
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, VocabularyHistory


class PublishedNames:
    """The vocabulary of a labeller, with ids that never change their meaning."""

    def __init__(self, kind: str, labeller: MaskLabeller, history: VocabularyHistory) -> None:
        """Give the names of a labeller the ids that earlier pipelines of this process gave them.

        Args:
            kind: the labeller's, as the setting of this name has it.
            labeller: whose names are published.
            history: keeps ids append-only over several pipelines of one process.
        """
        self._kind, self._labeller, self._history = kind, labeller, history
        if isinstance(labeller, NameFinder):
            labeller.bind(history)
        own = labeller.vocabulary
        admitted = history.admit(own)
        if isinstance(labeller, OpenVocabularyLabeller):
            if admitted != own:
                labeller.use(labeller.prepare(admitted))
        elif isinstance(labeller, ClosedSetLabeller):
            labeller.renumber(admitted)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names in use."""
        return self._labeller.vocabulary

    @property
    def notice(self) -> str:
        """What the labeller has to say of its names; empty where all is well."""
        return self._labeller.notice if isinstance(self._labeller, NameFinder) else ''

    def remember(self, names: Mapping[int, str]) -> None:
        """Keep the ids that an earlier run gave to names that the labeller found by itself.

        Raises:
            ConfigError: an id has another name in this run.
        """
        if isinstance(self._labeller, NameFinder):
            self._labeller.remember(names)

    def check(self, vocabulary: Vocabulary) -> OpenVocabularyLabeller:
        """Return the labeller if it will take a vocabulary; quick, nothing is encoded.

        Raises:
            ConfigError: the labeller's names are fixed, it cannot look for one of these, or the
                ids would not fit.
        """
        if not isinstance(self._labeller, OpenVocabularyLabeller):
            raise ConfigError(
                f'the names of labeller {self._kind!r} come from its model: they can '
                'change only with an open-vocabulary labeller such as clip'
            )
        self._labeller.check(vocabulary)
        require_same_encoding(self.vocabulary, self._history.preview(vocabulary))
        return self._labeller

    def change(
        self, vocabulary: Vocabulary, between_images: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Encode a vocabulary while images are labelled, and use it from the next one on.

        Args:
            vocabulary: the new names.
            between_images: gives a context in which no image is labelled.

        Raises:
            ConfigError: as `check`.
        """
        labeller = self.check(vocabulary)
        prepared = labeller.prepare(self._history.admit(vocabulary))
        with between_images():
            labeller.use(prepared)
