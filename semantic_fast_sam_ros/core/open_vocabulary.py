"""What open-vocabulary labellers share: the vocabulary asked for, and its change while running."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from semantic_fast_sam_ros.core import vocabulary as vocabularies
from semantic_fast_sam_ros.core.config import Config
from semantic_fast_sam_ros.core.errors import ConfigError
from semantic_fast_sam_ros.core.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.vocabulary import Vocabulary, VocabularyHistory

MONO8_IDS = 255  # label images of up to so many ids are 8-bit


@runtime_checkable
class OpenVocabularyLabeller(Protocol):
    """A labeller whose vocabulary may change between two images."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        ...

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB on the labeller's device."""
        ...

    def check(self, vocabulary: Vocabulary) -> None:
        """Raise a ConfigError for names that it cannot look for. Quick; encodes nothing."""
        ...

    def prepare(self, vocabulary: Vocabulary) -> Any:
        """Encode a vocabulary. Slow; may run on another thread while images are labelled."""
        ...

    def use(self, prepared: Any) -> None:
        """Swap to what `prepare` returned; called between two images."""
        ...

    def update(self, config: Config) -> None:
        """Take over the live settings; called between two images."""
        ...


@runtime_checkable
class NameFinder(Protocol):
    """An open-vocabulary labeller that publishes names of its own finding."""

    @property
    def notice(self) -> str:
        """What its user should know, such as that no ids are left; else empty."""
        ...

    def bind(self, history: VocabularyHistory) -> None:
        """Take ids from this history from now on."""
        ...

    def remember(self, names: Mapping[int, str]) -> None:
        """Take names in under the ids that an earlier run gave them."""
        ...


def requested(config: Config) -> Vocabulary | None:
    """Return the vocabulary that the settings ask for; None where they leave it to the model.

    Raises:
        ConfigError: the file or list is malformed, or repeats a name.
    """
    if config.vocabulary_file.strip():
        return vocabularies.load(Path(config.vocabulary_file.strip()).expanduser())
    return vocabularies.resolve(config.vocabulary) if config.vocabulary.strip() else None


def required(config: Config) -> Vocabulary:
    """Return the vocabulary that the settings ask for.

    Raises:
        ConfigError: as `requested`, or there is none, or it has only negatives.
    """
    found = requested(config)
    if found is None:
        raise ConfigError(
            'an open-vocabulary labeller needs names to look for: set vocabulary, such as '
            '`road, car | vehicle, person`'
        )
    if all(c.negative for c in found.classes):
        raise ConfigError('the vocabulary has only negatives: name at least one class to label')
    if config.groups.strip():
        found = vocabularies.apply_groups(found, vocabularies.read_groups(config.groups))
    return found


def require_same_encoding(before: Vocabulary, after: Vocabulary) -> None:
    """Refuse a change that would turn 8-bit label images into 16-bit ones while running.

    Consumers may not look at the encoding again (contracts: Nav2's layer never does).

    Raises:
        ConfigError: the ids would leave 8 bits.
    """
    if before.max_id <= MONO8_IDS < after.max_id:
        raise ConfigError(
            f'the change needs class id {after.max_id}, but the label images of this run are '
            f'mono8 and hold {MONO8_IDS}; ids are never given out again: use fewer new names, '
            'or restart'
        )
