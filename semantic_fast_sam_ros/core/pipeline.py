"""Semantic-Fast-SAM: an image in, a label for every pixel out (arXiv 2604.20169)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core import config as configuration
from semantic_fast_sam_ros.core import loading, reuse, weights
from semantic_fast_sam_ros.core.batching import images_at_once, networks_of, outside_torch
from semantic_fast_sam_ros.core.carried import CarriedLabels
from semantic_fast_sam_ros.core.closed_set import ClosedSetLabeller
from semantic_fast_sam_ros.core.config import Config
from semantic_fast_sam_ros.core.dense import BatchSegmenter
from semantic_fast_sam_ros.core.errors import ConfigError
from semantic_fast_sam_ros.core.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.images import as_tensor, require_rgb
from semantic_fast_sam_ros.core.loops import in_place_of_torch
from semantic_fast_sam_ros.core.masks import largest_first, rasterise, to_host
from semantic_fast_sam_ros.core.open_vocabulary import (
    MONO8_IDS,
    NameFinder,
    OpenVocabularyLabeller,
    require_same_encoding,
)
from semantic_fast_sam_ros.core.reuse import ReusingLabeller
from semantic_fast_sam_ros.core.runtime import choose_runtime
from semantic_fast_sam_ros.core.seen import Seen, see
from semantic_fast_sam_ros.core.sharing import SharedLock
from semantic_fast_sam_ros.core.temporal import hold_labels
from semantic_fast_sam_ros.core.timing import StageTimer, stage
from semantic_fast_sam_ros.core.types import (
    MaskLabeller,
    MaskLabels,
    MaskProposals,
    SegmentationResult,
    whole_image,
)
from semantic_fast_sam_ros.core.vocabulary import Vocabulary, VocabularyHistory
from semantic_fast_sam_ros.core.yoloe import YoloeLabeller

WARM_UP_SIZE = (480, 640)


class SemanticFastSam:
    """The whole pipeline.

    Several threads may call it: a network takes one image at a time, the rest runs beside it.
    """

    def __init__(
        self, config: Config, history: VocabularyHistory | None = None, images_at_once: int = 1
    ) -> None:
        """Load the models that a configuration names.

        Args:
            config: all settings.
            history: keeps ids append-only over several pipelines of one process.
            images_at_once: see `for_throughput`.

        Raises:
            ConfigError: a setting, vocabulary or group map is wrong.
            ModelError: a model is missing, damaged, not trusted or of another kind.
        """
        weights.silence_libraries()
        self._lock = SharedLock()
        self.config = config
        self.runtime = choose_runtime(config, images_at_once)
        self.device = self.runtime.device
        if config.threads:
            torch.set_num_threads(config.threads)
        self._threads = torch.get_num_threads() if images_at_once == 1 else 1  # of an image
        self._history = history or VocabularyHistory()
        self._labeller = loading.load_labeller(config, self.runtime)
        if isinstance(self._labeller, NameFinder):
            self._labeller.bind(self._history)
        self._admit_first()
        self._generator = loading.load_generator(config, self._labeller, self.runtime)

    @classmethod
    def from_profile(cls, name: str = 'embedded', **overrides: object) -> 'SemanticFastSam':
        """Load a shipped profile or a parameter file.

        Args:
            name: a file in config/ without its ending, or a path.
            overrides: settings by name, dots written as double underscores:
                `masks__confidence=0.3`.
        """
        values = {key.replace('__', '.'): value for key, value in overrides.items()}
        return cls(configuration.load_profile(name, values))

    @classmethod
    def for_throughput(cls, config: Config) -> 'SemanticFastSam':
        """Load the models for threads that label many images, where none of them is urgent.

        On a CPU as many images at once go through the networks as there are threads, one thread
        each: less waits for another thread than where all work on one image. Labels are the same.
        Elsewhere, and with networks that take one image at a time, as without it.
        """
        threads = config.threads or torch.get_num_threads()
        if choose_runtime(config).device.type != 'cpu' or threads == 1:
            return cls(config)
        several = cls(config, images_at_once=threads)
        return several if several.concurrent_images > threads else cls(config)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that are published."""
        return self._labeller.vocabulary

    @property
    def open_vocabulary(self) -> bool:
        """Whether the names may change while running."""
        return isinstance(self._labeller, OpenVocabularyLabeller)

    @property
    def notice(self) -> str:
        """What the labeller has to say of its names; empty where all is well."""
        return self._labeller.notice if isinstance(self._labeller, NameFinder) else ''

    @property
    def concurrent_images(self) -> int:
        """How many images at once are worth it: those in the networks, and one out of them.

        One where the order of the images decides which ids new names get, and where the labeller
        remembers what the generator found.
        """
        return 1 if self._remembers else min(map(images_at_once, self._networks)) + 1

    @property
    def _remembers(self) -> bool:
        return isinstance(self._labeller, NameFinder | YoloeLabeller)

    @property
    def _networks(self) -> list[object]:
        """What runs the networks."""
        return [self._generator, *networks_of(self._labeller)]

    def remember(self, names: Mapping[int, str]) -> None:
        """Keep the ids that an earlier run gave to names that it found by itself.

        Raises:
            ConfigError: an id has another name in this run.
        """
        if isinstance(self._labeller, NameFinder):
            self._labeller.remember(names)

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Say whether `set_vocabulary` will take a vocabulary; quick, nothing is encoded.

        Raises:
            ConfigError: the labeller's names are fixed, it cannot look for one of these, or the
                ids would not fit.
        """
        if not isinstance(self._labeller, OpenVocabularyLabeller):
            raise ConfigError(
                f'the names of labeller {self.config.labeller!r} come from its model: they can '
                'change only with an open-vocabulary labeller such as clip'
            )
        self._labeller.check(vocabulary)
        require_same_encoding(self.vocabulary, self._history.preview(vocabulary))

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Change the names; images are labelled meanwhile, the swap falls between two of them.

        Raises:
            ConfigError: as `check_vocabulary`.
        """
        self.check_vocabulary(vocabulary)
        assert isinstance(self._labeller, OpenVocabularyLabeller)
        prepared = self._labeller.prepare(self._history.admit(vocabulary))
        with self._lock.change():
            self._labeller.use(prepared)

    def warm_up(self) -> None:
        """Run one grey image, so that the first real one does not pay for lazy start-up."""
        image = np.full((*WARM_UP_SIZE, 3), 114, np.uint8)
        self(image)
        # Nothing is found in it, so what only names masks has done nothing yet.
        if self.open_vocabulary and not self._remembers:
            with self._turn(), torch.inference_mode():
                self._labeller.label(self._upload(image), whole_image(WARM_UP_SIZE, self.device))

    def update(self, config: Config) -> None:
        """Take over the live settings of a configuration from the next image on."""
        with self._lock.change():
            self.config = config
            self._generator.settings = config.masks  # type: ignore[attr-defined]
            if isinstance(self._labeller, ClosedSetLabeller):
                self._labeller.settings = config.vote
            elif isinstance(self._labeller, OpenVocabularyLabeller):
                self._labeller.update(config)

    def __call__(
        self,
        image: NDArray[np.uint8],
        earlier: SegmentationResult | None = None,
        seen: Seen | None = None,
        before: SegmentationResult | None = None,
    ) -> SegmentationResult:
        """Label an image.

        Args:
            image: (H, W, 3) uint8 RGB.
            earlier: labels of the image before, which the new masks take over; used if their
                size and names still fit.
            seen: what `look` saw in this very image, if that was called before.
            before: what this camera's image before came out as, for the settings temporal.*;
                used if size and names still fit. Without it each image stands for itself.

        Returns:
            the labels, at the image's size, on the host.

        Raises:
            FrameError: the image is not of that shape and type.
        """
        require_rgb(image)
        with self._turn(), torch.inference_mode():
            labeller = self._labeller_after(earlier, before, image.shape[:2])
            return self._segment(image, labeller, seen, before)

    @property
    def takes_batches(self) -> bool:
        """Whether a network takes several images at once, so that `look` is worth it."""
        masks, dense = self._generator, self._batch_segmenter
        return isinstance(masks, FastSamGenerator) and (
            masks.takes_batches or (dense is not None and dense.takes_batches)
        )

    def label_all(self, images: Sequence[NDArray[np.uint8]]) -> list[SegmentationResult]:
        """Label images as single calls do, with one pass of each network where it allows that.

        Args:
            images: each (H, W, 3) uint8 RGB, of any sizes; those of one size share a pass.

        Raises:
            FrameError: one of the images is not of that shape and type.
        """
        if len(images) < 2 or not self.takes_batches:
            return [self(image) for image in images]
        seen = self.look(images)
        return [self(image, None, saw) for image, saw in zip(images, seen, strict=True)]

    def look(
        self, images: Sequence[NDArray[np.uint8]], carried: Sequence[bool] = ()
    ) -> list[Seen]:
        """Run the networks on several images; calls with what they saw do the rest.

        For pipelines that take batches.

        Args:
            images: each (H, W, 3) uint8 RGB.
            carried: which of them take over earlier labels, and need no dense ones; else none.

        Raises:
            FrameError: one of the images is not of that shape and type.
        """
        assert isinstance(self._generator, FastSamGenerator)
        for image in images:
            require_rgb(image)
        timer = StageTimer(self.device)
        with self._turn(), torch.inference_mode(), timer.running():
            with stage('upload'):
                pixels = [self._upload(image) for image in images]
            old = carried or [False] * len(images)
            found = see(pixels, old, self._generator, self._batch_segmenter)
        share = {name: ms / len(images) for name, ms in timer.stage_ms().items()}
        return [Seen(p, *saw, share) for p, saw in zip(pixels, found, strict=True)]

    @property
    def _batch_segmenter(self) -> BatchSegmenter | None:
        labeller = self._labeller
        dense = labeller.segmenter if isinstance(labeller, ClosedSetLabeller) else None
        return dense if isinstance(dense, BatchSegmenter) else None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the pipeline, and share the CPU's threads out while it labels."""
        apart = all(map(outside_torch, self._networks))
        lock = self._lock.use() if self.concurrent_images > 1 else self._lock.change()
        threads = (
            in_place_of_torch(self._threads) if apart or self._threads == 1 else nullcontext()
        )
        with lock, threads:
            yield

    def _admit_first(self) -> None:
        """Give the names the ids that earlier pipelines of this process gave them."""
        own = self._labeller.vocabulary
        admitted = self._history.admit(own)
        if isinstance(self._labeller, OpenVocabularyLabeller):
            if admitted != own:
                self._labeller.use(self._labeller.prepare(admitted))
        elif isinstance(self._labeller, ClosedSetLabeller):
            self._labeller.renumber(admitted)

    def _labeller_after(
        self,
        earlier: SegmentationResult | None,
        before: SegmentationResult | None,
        size: tuple[int, ...],
    ) -> MaskLabeller:
        if earlier is not None and self._fits(earlier, size):
            return CarriedLabels(earlier, self.config.vote)
        if self.config.temporal.reuse and self.config.labeller in reuse.LABELLERS:
            known = before.memory if before is not None else None
            return ReusingLabeller(
                self._labeller, self.config.temporal, (self.config, size), known
            )
        return self._labeller

    def _fits(self, result: SegmentationResult, size: tuple[int, ...]) -> bool:
        """Say whether labels of another image can stand beside those of one of this size."""
        return result.label_map.shape == size and result.vocabulary == self.vocabulary

    def _segment(
        self,
        image: NDArray[np.uint8],
        labeller: MaskLabeller,
        seen: Seen | None,
        before: SegmentationResult | None,
    ) -> SegmentationResult:
        timer = StageTimer(self.device)
        with timer.running():
            result = self._timed_segment(image, labeller, seen, before)
        own_ms = timer.stage_ms()
        memory = before.memory if before is not None else None
        if isinstance(labeller, ReusingLabeller):
            memory = labeller.memory
        stage_ms = seen.total_ms(own_ms) if seen else own_ms
        return replace(result, stage_ms=stage_ms, memory=memory)

    def _upload(self, image: NDArray[np.uint8]) -> Tensor:
        return as_tensor(image).to(self.device).permute(2, 0, 1)

    def _timed_segment(
        self,
        image: NDArray[np.uint8],
        labeller: MaskLabeller,
        seen: Seen | None,
        before: SegmentationResult | None,
    ) -> SegmentationResult:
        # 1. One upload.
        with stage('upload'):
            pixels = seen.pixels if seen else self._upload(image)
        # 2. Masks, largest first, none of the whole frame.
        with stage('mask_post'):
            proposals = self._proposals(pixels, seen)
            proposals = largest_first(proposals, self.config.vote.maximum_mask_share)
        # 3. Names for masks and pixels.
        with stage('vote' if self.config.labeller == 'closed_set' else 'labels'):
            labels = _labels(labeller, pixels, proposals, seen)
        # 4. Smaller masks over larger ones over the dense labels; hysteresis, where asked for.
        with stage('rasterise'):
            label_map, confidence, instances = rasterise(proposals.shapes, labels)
            label_map, confidence = self._held(label_map, confidence, before)
        # 5. One download.
        with stage('download'):
            return self._download(proposals, labels, label_map, confidence, instances)

    def _proposals(self, pixels: Tensor, seen: Seen | None) -> MaskProposals:
        if seen and isinstance(self._generator, FastSamGenerator):
            return self._generator.propose(pixels, seen.detections)
        return self._generator.generate(pixels)

    def _held(
        self, label_map: Tensor, confidence: Tensor, before: SegmentationResult | None
    ) -> tuple[Tensor, Tensor]:
        share = self.config.temporal.hysteresis
        if not share or before is None or not self._fits(before, tuple(label_map.shape)):
            return label_map, confidence
        least = self.config.clip.minimum_confidence if self.open_vocabulary else 0.0
        return hold_labels((label_map, confidence), before, share, least)

    def _download(
        self,
        proposals: MaskProposals,
        labels: MaskLabels,
        label_map: Tensor,
        confidence: Tensor,
        instances: Tensor,
    ) -> SegmentationResult:
        vocabulary = self._labeller.vocabulary
        label_type = np.uint8 if vocabulary.max_id <= MONO8_IDS else np.uint16
        host_labels, host_confidence = to_host(label_map, confidence, label_type)
        return SegmentationResult(
            label_map=host_labels,
            confidence=host_confidence,
            instances=instances.cpu().numpy().view(np.uint16),
            mask_ids=np.arange(1, len(proposals) + 1, dtype=np.uint16),
            boxes=proposals.boxes.cpu().numpy(),
            mask_scores=proposals.scores.cpu().numpy(),
            class_ids=labels.class_ids.cpu().numpy(),
            class_scores=labels.scores.float().cpu().numpy(),
            vocabulary=vocabulary,
        )


def _labels(
    labeller: MaskLabeller, pixels: Tensor, proposals: MaskProposals, seen: Seen | None
) -> MaskLabels:
    if seen and seen.dense and isinstance(labeller, ClosedSetLabeller):
        return labeller.vote(seen.dense, proposals)
    return labeller.label(pixels, proposals)
