"""SSA-engine: names found in the image itself (Chen et al., Semantic Segment Anything, 2023).

Per mask: the top class of a COCO and of an ADE20K segmenter and the nouns of a caption are the
candidates; CLIP leaves the best few; CLIPSeg's pixels vote among those. All masks at once, but for
the captions' words, which are text and therefore read on the host.
"""

import functools
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary import crops
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import (
    TEMPLATES,
    extra_negatives,
    look_vectors,
)
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, VocabularyHistory
from semantic_fast_sam_ros.core.ssa_engine.ballot import Ballot, count_votes, membership, shortlist
from semantic_fast_sam_ros.core.ssa_engine.growing_vocabulary import REFUSED, GrowingVocabulary
from semantic_fast_sam_ros.core.ssa_engine.nouns import nouns
from semantic_fast_sam_ros.core.ssa_engine.stages import Stages

MAX_TEXTS = 4096  # names whose vectors are kept


@dataclass(frozen=True)
class NameTexts:
    """The vectors of one name."""

    clip: Tensor  # (dim,) float32, of unit length
    clipseg: Tensor  # (conditions,)


class SsaEngineLabeller:
    """Find names for the masks, and publish them as they come."""

    def __init__(self, stages: Stages, vocabulary: Vocabulary, config: Config) -> None:
        """Encode the names to begin with.

        Raises:
            ConfigError: clip.negatives is no list of names.
        """
        self._stages, self._config = stages, config
        self._encoding = threading.Lock()  # Hugging Face tokenizers serve one thread at a time
        self._history = VocabularyHistory()
        self.use(self.prepare(self._history.admit(vocabulary)))

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that were asked for, then those found so far."""
        return self._names.vocabulary

    @property
    def notice(self) -> str:
        """What its user should know: that ids have run out."""
        if not self._names.refused:
            return ''
        return (
            f'no id is left for {self._names.refused!r} and other new names: label images of this '
            f'run hold ids up to {self.vocabulary.max_id}; masks get the likeliest known name'
        )

    @property
    def model(self) -> ClipModel:
        """The network that the masks' vectors are of."""
        return self._stages.clip

    def bind(self, history: VocabularyHistory) -> None:
        """Take ids from a history that others use, too."""
        self._history = self._names.history = history

    def remember(self, names: Mapping[int, str]) -> None:
        """Take names in under the ids that an earlier run gave them."""
        self._names.remember(names)

    def check(self, vocabulary: Vocabulary) -> None:
        """Take any vocabulary."""

    def prepare(self, vocabulary: Vocabulary) -> tuple[Vocabulary, dict[str, NameTexts]]:
        """Encode a vocabulary for `use`. Slow; may run while another thread labels."""
        names = GrowingVocabulary(vocabulary, (), VocabularyHistory())
        return vocabulary, self._encode(vocabulary.names, names)

    def use(self, prepared: tuple[Vocabulary, dict[str, NameTexts]]) -> None:
        """Begin anew with this vocabulary; names found before get their own ids back."""
        vocabulary, texts = prepared
        negatives = extra_negatives(vocabulary, self._config.clip.negatives)
        self._names = GrowingVocabulary(vocabulary, negatives, self._history)
        self._first_texts, self._texts = texts, dict(texts)

    def update(self, config: Config) -> None:
        """Take over the live settings."""
        self._config = config

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB on the labeller's device."""
        candidates = self._candidates(image, proposals)
        names = tuple(dict.fromkeys(itertools.chain(*candidates)))
        if not names:
            return _unlabelled(proposals)
        texts = self._vectors_of(names)
        allowed = membership(candidates, names).to(image.device)
        vectors = self.encode(image, proposals)
        similar = vectors @ torch.stack([t.clip for t in texts]).T
        ballot = shortlist(similar, allowed, self._config.ssa_engine.proposals)
        conditions = torch.stack([t.clipseg for t in texts])
        ballot = self._vote(image, proposals, ballot, conditions)
        return replace(self._published(ballot, names, vectors), features=vectors)

    def _candidates(self, image: Tensor, proposals: MaskProposals) -> list[tuple[str, ...]]:
        """Return the names that each mask may have, in a fixed order, each once."""
        votes = [p.propose(image, proposals) for p in self._stages.closed_sets]
        captions = self._captions(image, proposals) if len(proposals) else []
        found = zip(*votes, map(nouns, captions), strict=True)
        canonical = functools.cache(self._canonical)
        return [
            tuple(dict.fromkeys(canonical(n) for n in (*closed, *open_) if n))
            for *closed, open_ in found
        ]

    def _canonical(self, name: str) -> str:
        found = self._names.find(name)
        return found.name if found else name

    def _captions(self, image: Tensor, proposals: MaskProposals) -> list[str]:
        captioner, settings = self._stages.captioner, self._config.ssa_engine
        boxes = self._boxes(image, proposals, settings.context_scale)
        captions: list[str] = []
        for chunk in self._chunks(proposals):
            cut = crops.cut(image, boxes[chunk], captioner.size)
            captions += captioner.describe(cut, settings.caption_tokens)
        return captions

    def encode(self, image: Tensor, proposals: MaskProposals) -> Tensor:
        """Return the unit vectors of the masks' crops, (N, dim) float32."""
        clip = self.model
        if not len(proposals):
            return image.new_zeros((0, clip.dimension), dtype=torch.float32)
        boxes = self._boxes(image, proposals, self._config.ssa_engine.filter_scale)
        chunks = self._chunks(proposals)
        return torch.cat(
            [clip.encode_crops(crops.cut(image, boxes[c], clip.size)) for c in chunks]
        )

    def _vote(
        self, image: Tensor, proposals: MaskProposals, ballot: Ballot, conditions: Tensor
    ) -> Ballot:
        """Let CLIPSeg's pixels inside the masks choose among the names left."""
        clipseg = self._stages.clipseg
        boxes = self._boxes(image, proposals, self._config.ssa_engine.context_scale)
        votes = []
        for chunk in self._chunks(proposals):
            cut = crops.cut(image, boxes[chunk], clipseg.size)
            logits = clipseg.segment_crops(cut, conditions[ballot.index[chunk]]).float()
            inside = crops.cut_masks(proposals.take(chunk).shapes, boxes[chunk], clipseg.size)
            votes.append(count_votes(logits, inside, ballot.valid[chunk]))
        hard, soft = map(torch.cat, zip(*votes, strict=True))
        order, _ = voting.rank(hard, ballot.index.shape[1])
        voted = Ballot(ballot.index, ballot.valid, soft).reordered(order)
        # By their rank, not by their score: the majority may have the smaller mean.
        return Ballot(voted.index, voted.valid, voted.scores.cummin(1).values)

    def _published(self, ballot: Ballot, names: Sequence[str], vectors: Tensor) -> MaskLabels:
        """Give the names ids, the masks' first ones before the others."""
        table = [REFUSED] * len(names)
        for i in dict.fromkeys(ballot.index.T[ballot.valid.T].tolist()):
            table[i] = self._names.id_of(names[i])
        ids = torch.tensor(table, device=vectors.device)
        usable = ballot.valid & (ids[ballot.index] != REFUSED)
        ballot = ballot.reordered((~usable).to(torch.uint8).sort(dim=1, stable=True).indices)
        usable = ballot.valid & (ids[ballot.index] != REFUSED)
        class_ids = torch.where(usable, ids[ballot.index], 0)
        scores = torch.where(usable, ballot.scores, 0)
        stuck = ballot.valid[:, 0] & ~usable[:, 0]
        if self._names.refused and bool(stuck.any()):
            class_ids[stuck, 0], scores[stuck, 0] = self._likeliest_known(vectors[stuck])
        return self._confident(class_ids, scores)

    def _likeliest_known(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids and probabilities of the best among all names that have ids, by CLIP."""
        classes = self.vocabulary.classes
        texts = torch.stack([t.clip for t in self._vectors_of(self.vocabulary.names)])
        shares = (self._stages.clip.scale * vectors @ texts.T).softmax(1)
        best, scores = voting.rank(shares, 1)
        ids = torch.tensor([0 if c.negative else c.id for c in classes], device=vectors.device)
        return ids[best[:, 0]], scores[:, 0]

    def _confident(self, ids: Tensor, scores: Tensor) -> MaskLabels:
        """Leave masks unlabelled whose score is below their class's minimum."""
        minimum = [0.0] * (self.vocabulary.max_id + 1)
        for c in self.vocabulary.classes:
            minimum[c.id] = c.minimum_confidence
        least = scores.new_tensor(minimum)[ids[:, 0]]
        least = least.clamp_min(self._config.clip.minimum_confidence)
        first = torch.where(scores[:, 0] >= least, ids[:, 0], 0)
        ids = torch.cat([first[:, None], ids[:, 1:]], 1)
        return MaskLabels(ids, scores, torch.ones_like(first, dtype=torch.bool))

    def _vectors_of(self, names: Sequence[str]) -> list[NameTexts]:
        new = [name for name in names if name not in self._texts]
        if len(self._texts) + len(new) > MAX_TEXTS:
            self._texts = dict(self._first_texts)
            new = [name for name in names if name not in self._texts]
        self._texts |= self._encode(new, self._names)
        return [self._texts[name] for name in names]

    def _encode(self, names: Sequence[str], known: GrowingVocabulary) -> dict[str, NameTexts]:
        if not names:
            return {}
        found = [known.find(name) for name in names]
        looks = [
            list(itertools.chain(*c.appearances)) if c else [n]
            for c, n in zip(found, names, strict=True)
        ]
        with self._encoding:
            templates = TEMPLATES[self._config.clip.templates]
            by_clip = look_vectors(self._stages.clip, looks, templates)
            flat = self._stages.clipseg.encode_texts(list(itertools.chain(*looks)))
        rows = iter(flat)
        by_clipseg = [
            self._stages.clipseg.merge(torch.stack(list(itertools.islice(rows, len(look)))))
            for look in looks
        ]
        return {
            name: NameTexts(*pair)
            for name, pair in zip(names, zip(by_clip, by_clipseg, strict=True), strict=True)
        }

    def _chunks(self, proposals: MaskProposals) -> Iterator[slice]:
        step = self._config.ssa_engine.batch
        return (slice(start, start + step) for start in range(0, len(proposals), step))

    @staticmethod
    def _boxes(image: Tensor, proposals: MaskProposals, scale: float) -> Tensor:
        size = (int(image.shape[1]), int(image.shape[2]))
        return crops.scaled_boxes(proposals.boxes, scale, size)


def _unlabelled(proposals: MaskProposals) -> MaskLabels:
    ids = torch.zeros((len(proposals), 1), dtype=torch.int64, device=proposals.boxes.device)
    return MaskLabels(ids, torch.zeros_like(ids, dtype=torch.float32), ids[:, 0] < 0)
