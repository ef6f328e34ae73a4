"""YOLOE as a labeller: the instances that it finds by text name the masks, or are the masks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals, PixelLabels
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.model_files import checkpoint
from semantic_fast_sam_ros.core.open_vocabulary.yoloe_network import (
    CLASS,
    Instances,
    YoloeNetwork,
    YoloeText,
    spread,
)
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.models import MaskSettings
from semantic_fast_sam_ros.core.settings.vocabulary import UNLABELLED, Vocabulary

LEAST_COVER = 0.5  # of a mask, by an instance of a class, for it to be named so


@dataclass(frozen=True)
class PreparedNames:
    """A vocabulary as the network takes it."""

    vocabulary: Vocabulary
    vectors: Tensor  # (L, dim), a row a look
    owners: Tensor  # (L,) int64, the class that each look belongs to
    ids: Tensor  # (C,) int64 published ids, 0 for negatives
    minimum: Tensor  # (C,) float32, below it a mask stays unlabelled


class YoloeLabeller:
    """Name masks by the instances that cover them; their pixels are named, too."""

    def __init__(self, network: YoloeNetwork, vocabulary: Vocabulary, config: Config) -> None:
        """Encode the vocabulary."""
        self._network, self._config = network, config
        self._names = self.prepare(vocabulary)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        return self._names.vocabulary

    def check(self, vocabulary: Vocabulary) -> None:
        """Take any vocabulary."""

    def prepare(self, vocabulary: Vocabulary) -> PreparedNames:
        """Encode a vocabulary for `use`. Slow; may run while another thread labels."""
        classes = vocabulary.classes
        looks = [self._network.encode(look) for c in classes for look in c.appearances]
        vectors = torch.stack(looks)
        owners = [row for row, c in enumerate(classes) for _ in c.appearances]
        device = vectors.device
        return PreparedNames(
            vocabulary,
            vectors,
            torch.tensor(owners, device=device),
            torch.tensor([UNLABELLED if c.negative else c.id for c in classes], device=device),
            torch.tensor([c.minimum_confidence for c in classes], device=device),
        )

    def use(self, prepared: PreparedNames) -> None:
        """Look for these names from the next image on."""
        self._names = prepared

    def update(self, config: Config) -> None:
        """Take over the live settings."""
        self._config, self._network.settings = config, config.yoloe

    def instances(self, image: Tensor) -> Instances:
        """Return what was found in an image, (3, H, W) uint8 RGB."""
        return self._network.detect(image, self._names.vectors)

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB, and the pixels of its instances.

        A mask's score for a class is the largest product of an instance's score and the share of
        the mask that it covers.
        """
        instances, names = self.instances(image), self._names
        masks = instances.masks()
        owners, scores = names.owners[instances.classes], instances.scores
        cover = _cover(proposals.masks, masks)
        count = len(names.ids)
        supports = _best_by_class(cover * scores, owners, count)
        classes, ranked = voting.rank(supports, self._config.vote.hypotheses)
        covered = _best_by_class(cover, owners, count).gather(1, classes[:, :1])[:, 0]
        paints = covered >= LEAST_COVER
        ids = torch.where(ranked > 0, names.ids[classes], UNLABELLED)
        ids[:, 0] *= paints & (ranked[:, 0] >= names.minimum[classes[:, 0]])
        pixels = self._pixels(masks, owners, scores, proposals.masks.shape[1:])
        return MaskLabels(ids, ranked, paints, pixels if self._config.vote.keep_dense else None)

    def _pixels(
        self, masks: Tensor, owners: Tensor, scores: Tensor, size: torch.Size
    ) -> PixelLabels:
        """Name each pixel by the best instance over it, (H, W)."""
        nothing = scores.new_zeros((1, *masks.shape[1:]))
        best, index = torch.cat([nothing, masks * scores[:, None, None]]).max(0)
        ids = torch.cat([owners.new_zeros(1), self._names.ids[owners]])
        least = torch.cat([scores.new_zeros(1), self._names.minimum[owners]])
        classes = torch.where(best >= least[index], ids[index], UNLABELLED)
        best = best * (classes > 0)
        rows, columns = (
            spread(n, m).to(masks.device) for n, m in zip(size, best.shape, strict=True)
        )
        return PixelLabels(classes[rows][:, columns], best[rows][:, columns])


class YoloeGenerator(FastSamGenerator):
    """Propose the instances of a labeller's YOLOE as masks: one network for masks and names."""

    takes_batches = False
    class_names = ()  # its labeller says them

    def __init__(self, labeller: YoloeLabeller, settings: MaskSettings) -> None:
        """Take the labeller whose network proposes; of the settings only retina_masks counts."""
        self.settings = settings
        self._labeller = labeller

    def generate(self, image: Tensor, empty_too: bool = False) -> MaskProposals:
        """Propose masks, best score first, for an image (3, H, W) uint8 RGB on the device."""
        it = self._labeller.instances(image)
        nameless = torch.cat([it.found[:, :CLASS], it.found[:, CLASS + 1 :]], 1)
        return self._shape(nameless, it.prototypes, it.batch, it.place, image, empty_too)


def load_yoloe(
    config: Config,
    vocabulary: Vocabulary,
    policy: weights.Policy,
    device: torch.device,
    dtype: torch.dtype,
) -> YoloeLabeller:
    """Load the network and text encoder that the settings name.

    Raises:
        ModelError: a model is missing, damaged, not trusted or of another kind.
    """
    weights.silence_libraries()
    file = checkpoint(config.yoloe.model).find(policy)
    text = YoloeText(checkpoint(config.yoloe.text_model).find(policy), device)
    network = YoloeNetwork(file, text, config.yoloe, device, dtype)
    return YoloeLabeller(network, vocabulary, config)


def _cover(masks: Tensor, instances: Tensor) -> Tensor:
    """Return the share of each mask (N, H, W) that each instance (I, h, w) covers, (N, I)."""
    rows, columns = (
        spread(n, m).to(masks.device)
        for n, m in zip(instances.shape[1:], masks.shape[1:], strict=True)
    )
    voters = masks[:, rows[:, None], columns].flatten(1).float()
    shared = voters @ instances.flatten(1).float().T
    return shared / voters.sum(1, keepdim=True).clamp_min(1)


def _best_by_class(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Return the largest of the instances' values (N, I) for each class, (N, count)."""
    best = values.new_zeros((len(values), count))
    return best.scatter_reduce(1, owners.expand_as(values), values, 'amax')
