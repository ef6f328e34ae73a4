"""What the parts of the pipeline hand to each other: frozen, shapes checked once."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core.masks.prototypes import PrototypeMasks, Shapes, at
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class MaskProposals:
    """Class-agnostic masks of one image, all tensors on one device; N may be 0."""

    shapes: Shapes  # (N, H, W) bool, or what they can be cut out of
    boxes: Tensor  # (N, 4) float32, x1 y1 x2 y2 in pixels, half-open
    scores: Tensor  # (N,) float32 in [0, 1]
    # (N,) bool: which are real. The others, behind them, are empty: a GPU need not be asked how
    # many there are. None: all of them.
    real: Tensor | None = None
    classes: Tensor | None = None  # (N,) int64, of those that the mask network tells apart

    def __post_init__(self) -> None:
        count = len(self.shapes)
        if isinstance(self.shapes, Tensor):
            shape = tuple(self.shapes.shape)
            _require(self.shapes.ndim == 3, f'masks must be (N, H, W), not {shape}')
        _require(self.boxes.shape == (count, 4), f'boxes must be ({count}, 4)')
        _require(self.scores.shape == (count,), f'scores must be ({count},)')

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        if isinstance(self.shapes, PrototypeMasks):
            return self.shapes.size
        return int(self.shapes.shape[1]), int(self.shapes.shape[2])

    @property
    def masks(self) -> Tensor:
        """The masks at image size, (N, H, W) bool; costly: see `masks_at`."""
        return self.masks_at(self.size)

    def masks_at(self, size: tuple[int, int]) -> Tensor:
        """Return the masks at points spread evenly over the image, (N, height, width) bool."""
        return at(self.shapes, size)

    def take(self, index: Tensor | slice) -> 'MaskProposals':
        """Return the proposals that an index or a slice selects, in its order."""
        shapes = self.shapes
        chosen = shapes[index] if isinstance(shapes, Tensor) else shapes.take(index)
        real = None if self.real is None else self.real[index]
        classes = None if self.classes is None else self.classes[index]
        return MaskProposals(chosen, self.boxes[index], self.scores[index], real, classes)


def whole_image(size: tuple[int, int], device: torch.device) -> MaskProposals:
    """Return the one mask that covers an image of (height, width)."""
    height, width = size
    boxes = torch.tensor([[0.0, 0.0, width, height]], device=device)
    masks = torch.ones((1, height, width), dtype=torch.bool, device=device)
    return MaskProposals(masks, boxes, torch.ones(1, device=device))


@dataclass(frozen=True)
class PixelLabels:
    """A label and a confidence for every pixel, from a dense branch."""

    class_ids: Tensor  # (H, W) int32 or int64 published ids, 0 = unlabelled
    confidence: Tensor  # (H, W) float32 in [0, 1], 0 where unlabelled


@dataclass(frozen=True)
class MaskLabels:
    """What a labeller says of N masks, and of the pixels if it has a dense branch."""

    class_ids: Tensor  # (N, K) int64 published ids, best first, 0 = unlabelled
    scores: Tensor  # (N, K) float32 in [0, 1], falling along K
    paints: Tensor  # (N,) bool: the mask's first class goes onto its pixels
    pixels: PixelLabels | None = None
    features: Tensor | None = None  # (N, dim) float32 of unit length, where the labeller has them

    def __post_init__(self) -> None:
        _require(self.class_ids.ndim == 2, 'class_ids must be (N, K)')
        _require(self.scores.shape == self.class_ids.shape, 'scores must be shaped as class_ids')
        _require(self.paints.shape == self.class_ids.shape[:1], 'paints must be (N,)')
        if self.features is not None:
            _require(len(self.features) == len(self.class_ids), 'features must be (N, dim)')

    def replaced(self, where: Tensor, found: 'MaskLabels') -> 'MaskLabels':
        """Return them with what was found in place of those of some masks, where (N,) bool."""
        width = max(self.class_ids.shape[1], found.class_ids.shape[1])
        ids, scores = _widened(self.class_ids, width), _widened(self.scores, width)
        ids[where], scores[where] = _widened(found.class_ids, width), _widened(found.scores, width)
        paints = self.paints.clone()
        paints[where] = found.paints
        features = None
        if self.features is not None and found.features is not None:
            features = self.features.clone()
            features[where] = found.features
        return replace(self, class_ids=ids, scores=scores, paints=paints, features=features)


def _widened(values: Tensor, width: int) -> Tensor:
    return functional.pad(values, (0, width - values.shape[1]))


@dataclass(frozen=True)
class MaskMemory:
    """The masks of an image for the next one, where names are reused; tensors on one device."""

    shapes: Tensor  # (N, points) bool, the masks on a coarse grid
    looks: Tensor  # (N, 3, S, S) float32, 0-255: what each box showed when its mask was named
    ages: Tensor  # (N,) int64, images since that
    labels: MaskLabels
    circumstances: object  # settings, names, image size: under others all this says nothing

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True)
class SegmentationResult:
    """One labelled image, on the host. Rows of the mask arrays belong together."""

    label_map: NDArray[np.unsignedinteger]  # (H, W) uint8 or uint16, 0 = unlabelled
    confidence: NDArray[np.uint8]  # (H, W), 0 wherever the label is 0
    instances: NDArray[np.uint16]  # (H, W) mask id, 0 = none
    mask_ids: NDArray[np.uint16]  # (N,) the ids that `instances` carries
    boxes: NDArray[np.float32]  # (N, 4) x1 y1 x2 y2 in pixels, half-open
    mask_scores: NDArray[np.float32]  # (N,) in [0, 1]
    class_ids: NDArray[np.int64]  # (N, K) ranked
    class_scores: NDArray[np.float32]  # (N, K) in [0, 1]
    vocabulary: Vocabulary
    stage_ms: dict[str, float] = field(default_factory=dict)
    tracked: NDArray[np.bool_] | None = None  # (N,) whose mask ids last; None: of no mask
    memory: MaskMemory | None = field(default=None, repr=False, compare=False)
    # (N, dim) unit vectors of the labeller's CLIP space, where they were asked for and it has them
    features: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)


class MaskGenerator(Protocol):
    """Proposes masks: FastSAM, SAM, superpixels."""

    def generate(self, image: Tensor) -> MaskProposals:
        """Propose masks for an image, (3, H, W) uint8 RGB on the generator's device."""
        ...


class MaskLabeller(Protocol):
    """Names masks: a dense branch that votes, or a classifier of crops."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        ...

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB on the labeller's device."""
        ...
