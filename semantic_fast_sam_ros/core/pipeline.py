"""Semantic-Fast-SAM: an image in, a label for every pixel out (arXiv 2604.20169)."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core import loading
from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.base.timing import StageTimer, stage
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.images.rgb import require_rgb, upload
from semantic_fast_sam_ros.core.masks.download import result_on_host
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.masks.painting import (
    largest_first,
    largest_first_unasked,
    rasterise,
)
from semantic_fast_sam_ros.core.masks.types import (
    MaskLabeller,
    MaskLabels,
    MaskProposals,
    SegmentationResult,
    whole_image,
)
from semantic_fast_sam_ros.core.network_outputs import (
    NetworkOutputs,
    run_networks,
    take_batches,
)
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.answers import refused_models, sums_collected
from semantic_fast_sam_ros.core.networks.model_files import models_of
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.interface import (
    MaskEncoder,
    OpenVocabularyLabeller,
)
from semantic_fast_sam_ros.core.published_names import PublishedNames
from semantic_fast_sam_ros.core.settings import profiles
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.effects import require_effect
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, VocabularyHistory
from semantic_fast_sam_ros.core.turns import Turns
from semantic_fast_sam_ros.core.video.adapting import CameraAdaptation
from semantic_fast_sam_ros.core.video.image_before import (
    adapted_labeller,
    labeller_after,
    steadied,
)
from semantic_fast_sam_ros.core.video.name_reuse import ReusingLabeller

WARM_UP_SIZE = (480, 640)
UNASKED = (ClosedSetLabeller, ClipLabeller)  # take masks without a pixel for what they are
Sums = Sequence[tuple[str, Tensor]]  # of what the networks answered, by network


@dataclass(frozen=True)
class _Task:
    """An image on its way to its labels; see `SemanticFastSam.__call__`."""

    image: NDArray[np.uint8]
    labeller: MaskLabeller  # of this image: it may carry, reuse or learn names
    outputs: NetworkOutputs | None
    before: SegmentationResult | None
    features: bool


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
            ConfigError: a setting, vocabulary or group map is wrong, or asks of the labeller what
                it cannot do.
            ModelError: a model is missing, damaged, not trusted or of another kind.
        """
        require_effect(config)
        weights.silence_libraries()
        self.config = config
        self.runtime = choose_runtime(config, images_at_once)
        self.device = self.runtime.device
        if config.threads:
            torch.set_num_threads(config.threads)
        self._labeller = loading.load_labeller(config, self.runtime)
        self._names = PublishedNames(
            config.labeller, self._labeller, history or VocabularyHistory()
        )
        self._generator = loading.load_generator(config, self.runtime, [self._labeller])
        loading.introduce(self._generator, self._labeller, config)
        threads = torch.get_num_threads() if images_at_once == 1 else 1
        self._turns = Turns(self._generator, self._labeller, threads)

    @classmethod
    def from_profile(cls, name: str = 'embedded', **overrides: object) -> 'SemanticFastSam':
        """Load a shipped profile or a parameter file.

        Args:
            name: a file in config/ without its ending, or a path.
            overrides: settings by name, dots written as double underscores:
                `masks__confidence=0.3`.
        """
        values = {key.replace('__', '.'): value for key, value in overrides.items()}
        return cls(profiles.load_profile(name, values))

    @classmethod
    def for_throughput(cls, config: Config) -> 'SemanticFastSam':
        """Load the models for threads that label many images, where none of them is urgent.

        On a CPU as many images at once go through the networks as there are threads, one thread
        each: less waits for another thread than where all work on one image. Labels are the same.
        Elsewhere, where names settle from image to image, and with networks that take one image
        at a time, as without it.
        """
        threads = config.threads or torch.get_num_threads()
        on_cpu = choose_runtime(config).device.type == 'cpu'
        if config.clip.adapts or not on_cpu or threads == 1:
            return cls(config)
        several = cls(config, images_at_once=threads)
        return several if several.concurrent_images > threads else cls(config)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that are published."""
        return self._names.vocabulary

    @property
    def open_vocabulary(self) -> bool:
        """Whether the names may change while running."""
        return isinstance(self._labeller, OpenVocabularyLabeller)

    @property
    def encoder(self) -> MaskEncoder | None:
        """The labeller, where it has a vector of each mask in a space of texts; else None."""
        return self._labeller if isinstance(self._labeller, MaskEncoder) else None

    @property
    def notice(self) -> str:
        """What the labeller has to say of its names; empty where all is well."""
        return self._names.notice

    @property
    def concurrent_images(self) -> int:
        """How many images at once are worth it: those in the networks, and one out of them.

        One where the order of the images decides which ids new names get, and where the labeller
        remembers what the generator found, or by which names settle.
        """
        return 1 if self.config.clip.adapts else self._turns.concurrent_images

    def remember(self, names: Mapping[int, str]) -> None:
        """Keep the ids that an earlier run gave to names that it found by itself.

        Raises:
            ConfigError: an id has another name in this run.
        """
        self._names.remember(names)

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Say whether `set_vocabulary` will take a vocabulary; quick, nothing is encoded.

        Raises:
            ConfigError: the labeller's names are fixed, it cannot look for one of these, or the
                ids would not fit.
        """
        self._names.check(vocabulary)

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Change the names; images are labelled meanwhile, the swap falls between two of them.

        Raises:
            ConfigError: as `check_vocabulary`.
        """
        self._names.change(vocabulary, self._turns.change)

    def warm_up(self) -> None:
        """Try the networks on a grey image, so that the first real one pays for no start-up.

        Raises:
            ModelError: a network does not say what it should.
        """
        image = np.full((*WARM_UP_SIZE, 3), 114, np.uint8)
        with refused_models([model.name for model in models_of(self.config)]):
            self._probe(image)

    def _probe(self, image: NDArray[np.uint8]) -> None:
        self(image)
        # Nothing is found in it, so what only names masks has done nothing yet.
        if self.open_vocabulary and not self._turns.in_order:
            with self._turns.image(), torch.inference_mode():
                self._labeller.label(
                    upload(image, self.device), whole_image(WARM_UP_SIZE, self.device)
                )

    def update(self, config: Config) -> None:
        """Take over the live settings of a configuration from the next image on."""
        with self._turns.change():
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
        outputs: NetworkOutputs | None = None,
        before: SegmentationResult | None = None,
        features: bool = False,
        adaptation: CameraAdaptation | None = None,
    ) -> SegmentationResult:
        """Label an image.

        Args:
            image: (H, W, 3) uint8 RGB.
            earlier: labels of the image before, which the new masks take over; used if their
                size and names still fit.
            outputs: what `run_networks` returned for this very image, if that was called before.
            before: what this camera's image before came out as, for the settings temporal.*;
                used if size and names still fit. Without it each image stands for itself.
            features: whether the masks' vectors are wanted with the labels, see `encoder`; labels
                that an earlier image gave come without.
            adaptation: what this camera's names have settled into, for clip.adaptation; moves on
                by this image. One image at a time may have it.

        Returns:
            the labels, at the image's size, on the host.

        Raises:
            FrameError: the image is not of that shape and type.
        """
        require_rgb(image)
        with self._turns.image(), torch.inference_mode():
            size = image.shape[:2]
            named = adapted_labeller(self._labeller, self.config, adaptation)
            labeller = labeller_after(named, self.config, size, earlier, before)
            return self._segment(_Task(image, labeller, outputs, before, features))

    def _segment(self, task: _Task) -> SegmentationResult:
        timer = StageTimer(self.device)
        # A GPU is not waited for before the download: what networks answered is judged behind it.
        collected: AbstractContextManager[Sums]
        collected = nullcontext(()) if jit.suits(self.device) else sums_collected()
        with timer.running(), collected as sums:
            result = self._timed_segment(task, sums)
        own_ms = timer.stage_ms()
        memory = task.before.memory if task.before is not None else None
        if isinstance(task.labeller, ReusingLabeller):
            memory = task.labeller.memory
        stage_ms = task.outputs.total_ms(own_ms) if task.outputs else own_ms
        return replace(result, stage_ms=stage_ms, memory=memory)

    def _timed_segment(self, task: _Task, sums: Sums) -> SegmentationResult:
        # 1. One upload.
        with stage('upload'):
            pixels = task.outputs.pixels if task.outputs else upload(task.image, self.device)
        # 2. Masks, largest first, none of the whole frame.
        with stage('mask_post'):
            proposals = self._proposals(task, pixels)
        # 3. Names for masks and pixels.
        with stage('vote' if self.config.labeller == 'closed_set' else 'labels'):
            labels = _labels(task, pixels, proposals)
            vectors = _features(task, labels, pixels, proposals)
        # 4. Smaller masks over larger ones over the dense labels; hysteresis, where asked for.
        with stage('rasterise'):
            label_map, confidence, instances = rasterise(proposals.shapes, labels)
            label_map, confidence = steadied(
                (label_map, confidence), self.config, self._labeller, task.before
            )
        # 5. One download.
        with stage('download'):
            drawn = (label_map, confidence, instances)
            vocabulary = self._labeller.vocabulary
            return result_on_host(proposals, labels, drawn, vocabulary, sums, vectors)

    def _proposals(self, task: _Task, pixels: Tensor) -> MaskProposals:
        generator, share = self._generator, self.config.vote.maximum_mask_share
        # Other labellers look at each mask, and at how many there are.
        unasked = isinstance(task.labeller, UNASKED) and not jit.suits(self.device)
        if not isinstance(generator, FastSamGenerator):
            return largest_first(generator.generate(pixels), share)
        if task.outputs:
            proposals = generator.propose(pixels, task.outputs.detections, unasked)
        elif unasked:
            proposals = generator.generate(pixels, empty_too=True)
        else:
            proposals = generator.generate(pixels)
        order = largest_first_unasked if unasked else largest_first
        return order(proposals, share)

    @property
    def takes_batches(self) -> bool:
        """Whether a network takes several images at once, so that `run_networks` is worth it."""
        return take_batches(self._generator, self._labeller)

    def label_all(self, images: Sequence[NDArray[np.uint8]]) -> list[SegmentationResult]:
        """Label images as single calls do, with one pass of each network where it allows that.

        Args:
            images: each (H, W, 3) uint8 RGB, of any sizes; those of one size share a pass.

        Raises:
            FrameError: one of the images is not of that shape and type.
        """
        if len(images) < 2 or not self.takes_batches:
            return [self(image) for image in images]
        found = self.run_networks(images)
        return [self(image, None, each) for image, each in zip(images, found, strict=True)]

    def run_networks(
        self, images: Sequence[NDArray[np.uint8]], carried: Sequence[bool] = ()
    ) -> list[NetworkOutputs]:
        """Run the networks on several images; calls with what they put out do the rest.

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
        with self._turns.image(), torch.inference_mode():
            return run_networks(
                images,
                carried or [False] * len(images),
                self._generator,
                self._labeller,
                self.device,
            )


def _labels(task: _Task, pixels: Tensor, proposals: MaskProposals) -> MaskLabels:
    labeller, outputs = task.labeller, task.outputs
    if outputs and outputs.dense and isinstance(labeller, ClosedSetLabeller):
        return labeller.vote(outputs.dense, proposals)
    return labeller.label(pixels, proposals)


def _features(
    task: _Task, labels: MaskLabels, pixels: Tensor, proposals: MaskProposals
) -> Tensor | None:
    """Return the vectors of masks if they are wanted: encoded here where labels need not all."""
    labeller = task.labeller
    if task.features and labels.features is None and isinstance(labeller, MaskEncoder):
        return labeller.encode(pixels, proposals)
    return labels.features if task.features else None
