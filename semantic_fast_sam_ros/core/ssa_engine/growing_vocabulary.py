"""A vocabulary that grows by the names found in images: ids append-only, and bounded."""

from collections.abc import Mapping, Sequence

from semantic_fast_sam_ros.core.settings.vocabulary import (
    MAX_CLASSES,
    MONO8_IDS,
    UNLABELLED,
    SemanticClass,
    Vocabulary,
    VocabularyHistory,
    colour_of,
)

REFUSED = -1


class GrowingVocabulary:
    """Gives names ids as they are found, until the label images' ids are used up."""

    def __init__(
        self, start: Vocabulary, negatives: Sequence[SemanticClass], history: VocabularyHistory
    ) -> None:
        """Begin with a vocabulary.

        Args:
            start: its names have ids already; its prompts stand for them.
            negatives: further names that come out unlabelled.
            history: hands out the ids.
        """
        self.vocabulary = start
        self.history = history
        self.refused = ''  # the first name that got no id
        self._negatives = tuple(negatives)
        # As many as the label images of this run hold: their encoding does not change.
        self._limit = MONO8_IDS if start.max_id <= MONO8_IDS else MAX_CLASSES
        self._ids: dict[str, int] = {}

    def find(self, name: str) -> SemanticClass | None:
        """Return the class, published or negative, that a name denotes."""
        negatives = Vocabulary(self._negatives).find(name) if self._negatives else None
        return self.vocabulary.find(name) or negatives

    def id_of(self, name: str) -> int:
        """Return a name's id, a new one if need be; 0 for negatives; REFUSED if none is left."""
        if name not in self._ids:
            found = self.find(name) or self._admit(name)
            if found is None:
                self.refused = self.refused or name
            unlabelled = UNLABELLED if found is not None else REFUSED
            self._ids[name] = unlabelled if found is None or found.negative else found.id
        return self._ids[name]

    def remember(self, names: Mapping[int, str]) -> None:
        """Take names in under the ids that an earlier run gave them.

        Raises:
            ConfigError: an id has another name in this run.
        """
        known = {c.id for c in self.vocabulary.classes}
        new = [
            SemanticClass(i, n, colour_of(i)) for i, n in sorted(names.items()) if i not in known
        ]
        if new:
            self.history.restore(Vocabulary(tuple(new)))
            self.vocabulary = Vocabulary((*self.vocabulary.classes, *new))

    def _admit(self, name: str) -> SemanticClass | None:
        new = Vocabulary((SemanticClass(1, name, colour_of(1)),))
        if self.history.preview(new).max_id > self._limit:
            return None
        (admitted,) = self.history.admit(new).classes
        self.vocabulary = Vocabulary((*self.vocabulary.classes, admitted))
        return admitted
