"""Random small scenes, and the vote of Semantic Segment Anything as a plain loop over masks."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.painting import largest_first, rasterise
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names

NAMES = ('road', 'sky', 'car', 'tree')


@dataclass(frozen=True)
class Scene:
    """A dense map and masks over it."""

    probabilities: NDArray[np.float32]  # (C, H, W), sum to one over C
    masks: NDArray[np.bool_]  # (N, H, W)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The most probable class of each pixel, from 0."""
        return self.probabilities.argmax(0)


@dataclass(frozen=True)
class Painted:
    """The three maps of a frame."""

    labels: NDArray[np.int64]
    confidence: NDArray[np.float32]
    instances: NDArray[np.int64]


def scene(seed: int, count: int, height: int = 9, width: int = 14) -> Scene:
    """Make a scene of `count` overlapping boxes with holes, some of equal area."""
    random = np.random.default_rng(seed)
    # Coarse blocks of classes: masks then often have a clear winner, and often a tie.
    coarse = random.normal(size=(len(NAMES), 3, 4)) * 2
    logits = coarse.repeat(5, 1)[:, :height].repeat(5, 2)[:, :, :width]
    logits = logits + random.normal(size=logits.shape)
    exponent = np.exp(logits)
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        top, left = random.integers(0, height), random.integers(0, width)
        mask[
            top : top + random.integers(1, height + 1), left : left + random.integers(1, width)
        ] = 1
        mask &= (random.random(mask.shape) > 0.2) | (random.random() < 0.5)
    filled = masks[masks.any((1, 2))]
    return Scene((exponent / exponent.sum(0)).astype(np.float32), filled)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Draw scenes of 0 to 12 masks on non-square images."""
    size = (draw(st.integers(1, 9)), draw(st.integers(10, 17)))
    return scene(draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 12)), *size)


def loop(scene: Scene, settings: VoteSettings) -> Painted:
    """Label a scene mask by mask."""
    dense = scene.classes
    labels = dense + 1 if settings.keep_dense else np.zeros_like(dense)
    confidence = scene.probabilities.max(0) * (labels > 0)
    instances = np.zeros_like(dense)
    largest = settings.maximum_mask_share * dense.size
    allowed = [mask for mask in scene.masks if mask.sum() <= largest]
    for number, mask in enumerate(sorted(allowed, key=lambda m: -int(m.sum())), start=1):
        instances[mask] = number
        shares = np.bincount(dense[mask], minlength=len(NAMES)) / mask.sum()
        means = scene.probabilities[:, mask].mean(1)
        winner = int((shares if settings.mode == 'hard' else means).argmax())
        if shares[winner] >= settings.minimum_purity - 1e-7:
            labels[mask] = winner + 1
            confidence[mask] = (shares if settings.mode == 'hard' else means)[winner]
    return Painted(labels, confidence.astype(np.float32), instances)


def vote(
    scene: Scene, settings: VoteSettings, vocabulary: Vocabulary | None = None
) -> tuple[MaskLabels, Painted, MaskProposals]:
    """Label a scene as the pipeline does."""
    labeller = ClosedSetLabeller(Names(), vocabulary or from_names(NAMES), settings)
    proposals = largest_first(proposals_of(scene.masks), settings.maximum_mask_share)
    dense = DenseMap(torch.from_numpy(scene.probabilities).log(), are_logits=True)
    labels = labeller.vote(dense, proposals)
    maps = [m.numpy() for m in rasterise(proposals.masks, labels)]
    return labels, Painted(*maps), proposals


def proposals_of(masks: NDArray[np.bool_]) -> MaskProposals:
    """Wrap masks; boxes and scores play no part in the vote."""
    count = len(masks)
    return MaskProposals(torch.from_numpy(masks), torch.zeros(count, 4), torch.ones(count))


class Names:
    """A segmenter of which only the class names are asked."""

    class_names = NAMES
    left_out = ''

    def segment(self, image: torch.Tensor) -> DenseMap:
        """Fail: these tests hand the dense map to the vote themselves."""
        raise AssertionError('the vote must not run the segmenter')
