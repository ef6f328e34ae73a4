"""What cameras' names have settled into, kept from image to image; the arithmetic is elsewhere."""

import threading
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import State
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.open_vocabulary.interface import MaskEncoder
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

SHARED = 'shared'  # the name under which all cameras' common state is kept
SHOWN_LOOKS = 20


@runtime_checkable
class Adaptive(MaskEncoder, Protocol):
    """A labeller whose names can settle."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that masks get."""
        ...

    def label_after(
        self, image: Tensor, proposals: MaskProposals, before: State | None
    ) -> tuple[MaskLabels, State | None]:
        """Name masks by what was learned before; return what is known then."""
        ...


class CameraAdaptation:
    """The state of one camera, or of several that share it. Any thread may read and reset it."""

    def __init__(self, state: State | None = None) -> None:
        """Begin at a state, or at the texts."""
        self._lock = threading.Lock()
        self._state = state

    @property
    def state(self) -> State | None:
        """What was learned; None: nothing yet."""
        return self._state

    def reset(self) -> None:
        """Begin at the texts again."""
        with self._lock:
            self._state = None

    def advance(self, before: State | None, after: State | None) -> None:
        """Take over what an image taught, unless a reset came meanwhile."""
        with self._lock:
            if self._state is before:
                self._state = after

    def described(self) -> str:
        """Return how many masks each name has taken in and how far its vector has moved."""
        state = self._state
        if state is None:
            return 'nothing learned yet'
        taken, moved = state.taken.tolist(), state.moved.tolist()
        most = sorted(zip(taken, moved, state.looks, strict=True), key=lambda row: -row[0])
        return ', '.join(
            f'{look[0]}: {count} masks, {angle:.1f} deg'
            for count, angle, look in most[:SHOWN_LOOKS]
        )


class Adaptations:
    """The states of all cameras."""

    def __init__(self, shared: bool, known: Mapping[str, State] | None = None) -> None:
        """Begin.

        Args:
            shared: whether all cameras have one state.
            known: states by camera, of an earlier run.
        """
        self._shared, self._known = shared, dict(known or {})
        self._by_camera: dict[str, CameraAdaptation] = {}

    def of(self, camera: str) -> CameraAdaptation:
        """Return the state of a camera."""
        name = SHARED if self._shared else camera
        if name not in self._by_camera:
            self._by_camera[name] = CameraAdaptation(self._known.get(name))
        return self._by_camera[name]

    def reset(self) -> None:
        """Let all cameras begin at the texts again."""
        for adaptation in self._by_camera.values():
            adaptation.reset()

    def states(self) -> dict[str, State]:
        """Return what is known by camera, those of an earlier run that are not here among them."""
        now = {name: adaptation.state for name, adaptation in self._by_camera.items()}
        return {name: state for name, state in {**self._known, **now}.items() if state is not None}


class AdaptingLabeller:
    """Lets another labeller name the masks of an image by what was learned, and learn of them."""

    def __init__(self, labeller: Adaptive, adaptation: CameraAdaptation) -> None:
        """Take the labeller and the state of the image's camera."""
        self._labeller, self._adaptation = labeller, adaptation

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        return self._labeller.vocabulary

    @property
    def model(self) -> ClipModel:
        """The network that the masks' vectors come from."""
        return self._labeller.model

    def encode(self, image: Tensor, proposals: MaskProposals) -> Tensor:
        """Return the unit vectors of the masks, (N, dim) float32."""
        return self._labeller.encode(image, proposals)

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB on the labeller's device."""
        before = self._adaptation.state
        labels, after = self._labeller.label_after(image, proposals, before)
        self._adaptation.advance(before, after)
        return labels
