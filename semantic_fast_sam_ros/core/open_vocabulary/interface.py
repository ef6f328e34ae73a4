"""What open-vocabulary labellers share: the vocabulary asked for, and its change while running."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import (
    MONO8_IDS,
    Vocabulary,
    VocabularyHistory,
)


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
class MaskEncoder(Protocol):
    """A labeller that has a vector of each mask in a space where texts have them, too."""

    @property
    def model(self) -> ClipModel:
        """The network of that space."""
        ...

    def encode(self, image: Tensor, proposals: MaskProposals) -> Tensor:
        """Return the unit vectors of the masks, (N, dim) float32."""
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


def require_same_encoding(before: Vocabulary, after: Vocabulary) -> None:
    """Refuse a change that would turn 8-bit label images into 16-bit ones while running.

    Consumers may not look at the encoding again (Nav2's layer never does).

    Raises:
        ConfigError: the ids would leave 8 bits.
    """
    if before.max_id <= MONO8_IDS < after.max_id:
        raise ConfigError(
            f'the change needs class id {after.max_id}, but the label images of this run are '
            f'mono8 and hold {MONO8_IDS}; ids are never given out again: use fewer new names, '
            'or restart'
        )
