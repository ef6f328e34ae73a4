"""Run the rows on one image; what several rows need is computed once and timed once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core import loading
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.painting import largest_first, rasterise
from semantic_fast_sam_ros.core.masks.types import (
    MaskLabeller,
    MaskLabels,
    MaskMemory,
    MaskProposals,
    PixelLabels,
)
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import State
from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.video import hysteresis
from semantic_fast_sam_ros.core.video.adapting import Adaptive
from semantic_fast_sam_ros.core.video.name_reuse import ReusingLabeller
from semantic_fast_sam_ros.evaluation import sources
from semantic_fast_sam_ros.evaluation.mapping import ClassMapping, map_classes
from semantic_fast_sam_ros.evaluation.mask_quality import true_regions
from semantic_fast_sam_ros.evaluation.rows import Row, labeller_config, temporal_settings

T = TypeVar('T')
Milliseconds = dict[str, list[float]]  # stage -> one value a run


@dataclass(frozen=True)
class Outcome:
    """What a row makes of an image."""

    labels: NDArray[np.int16]  # (H, W) class indices of the data set; their number = none of them
    confidence: NDArray[np.float32]  # (H, W) in [0, 1]
    masks: NDArray[np.bool_]  # (N, H, W)
    scores: NDArray[np.float32]  # (N,)
    stage_ms: Milliseconds
    reused: int = 0  # masks that kept their names of the image before


@dataclass(frozen=True)
class _Trace:
    """What a row leaves for the next image of the sequence."""

    pixels: hysteresis.Pixels
    memory: MaskMemory | None
    state: State | None


class Bench:
    """The models that some rows need."""

    def __init__(
        self, config: Config, wanted: Vocabulary, rows: list[Row], sam: str = '', runs: int = 1
    ) -> None:
        """Load them.

        Raises:
            ConfigError, ModelError: as the pipeline raises them.
        """
        weights.silence_libraries()
        self._config, self._wanted, self._runs = config, wanted, max(1, runs)
        self._runtime = choose_runtime(config)
        self._device = self._runtime.device
        if config.threads:
            torch.set_num_threads(config.threads)
        self._closed = self._load_closed(rows)
        self._open = {row.name: self._load_open(row) for row in rows if _is_open(row)}
        kinds, labellers = {row.masks for row in rows}, self._open.values()
        self._generators = sources.load_generators(kinds, config, self._runtime, sam, labellers)
        if self._closed is not None and 'fastsam' in self._generators:
            loading.introduce(self._generators['fastsam'], self._closed, config)
        self.mappings = {row.name: self._map(row) for row in rows}
        self._traces: dict[str, _Trace] = {}
        self._states: dict[str, State | None] = {}  # what adapted rows have learned

    def begin(self) -> None:
        """Take the next image for the first one of the data set."""
        self._states = {}
        self.forget()

    def forget(self) -> None:
        """Take the next image for the first one of a sequence."""
        self._traces = {}

    def run(
        self, rows: list[Row], image: NDArray[np.uint8], truth: NDArray[np.int16]
    ) -> dict[str, Outcome]:
        """Label an image (H, W, 3) RGB by each row; the truth (H, W) is for the ceilings only.

        Rows that look back take what the last call left, unless `forget` was called since; adapted
        ones unless `begin` was.
        """
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
            pixels = pixels.permute(2, 0, 1)
            dense: tuple[DenseMap, list[float]] | None = None
            if self._closed is not None:
                segment = self._closed.segmenter.segment
                dense = self._timed(lambda: segment(pixels))
            found = {
                kind: self._propose(kind, pixels, truth)
                for kind in dict.fromkeys(row.masks for row in rows)
            }
            return {
                row.name: self._outcome(row, pixels, truth, dense, found[row.masks])
                for row in rows
            }

    def _outcome(
        self,
        row: Row,
        pixels: Tensor,
        truth: NDArray[np.int16],
        dense: tuple[DenseMap, list[float]] | None,
        found: tuple[MaskProposals, list[float]],
    ) -> Outcome:
        proposals, stage_ms = found[0], {'masks': found[1]} if row.masks else {}
        if dense is not None and not _is_open(row):
            stage_ms['dense'] = dense[1]
        (labels, confidence, trace), stage_ms['labels'] = self._timed(
            lambda: self._label(row, pixels, truth, dense[0] if dense else None, proposals)
        )
        memory = None
        if trace is not None:
            self._traces[row.name], memory = trace, trace.memory
            self._states[row.name] = trace.state
        return Outcome(
            labels,
            confidence,
            proposals.masks.cpu().numpy(),
            proposals.scores.cpu().numpy(),
            stage_ms,
            int((memory.ages > 0).sum()) if memory is not None else 0,
        )

    def _label(
        self,
        row: Row,
        pixels: Tensor,
        truth: NDArray[np.int16],
        dense: DenseMap | None,
        proposals: MaskProposals,
    ) -> tuple[NDArray[np.int16], NDArray[np.float32], _Trace | None]:
        labeller = self._open.get(row.name)
        if labeller is not None and row.temporal.get('reuse'):
            labeller = self._reusing(row, labeller, proposals)
        state = None
        if row.adapted:
            assert isinstance(labeller, Adaptive)
            named, state = labeller.label_after(pixels, proposals, self._states.get(row.name))
        elif labeller is not None:
            named = labeller.label(pixels, proposals)
        else:
            assert self._closed is not None and dense is not None
            self._closed.settings = replace(self._config.vote, **row.vote)  # type: ignore[arg-type]
            named = self._closed.vote(dense, proposals)
        if row.labels == 'truth':
            return *self._true_labels(row, named, truth, proposals), None
        label_map, confidence, _ = rasterise(proposals.shapes, named)
        trace = None
        if row.looks_back:
            label_map, confidence = self._held(row, (label_map, confidence))
            memory = labeller.memory if isinstance(labeller, ReusingLabeller) else None
            trace = _Trace((label_map, confidence), memory, state)
        if int(label_map.max()) >= len(self.mappings[row.name].table):  # a name was found in it
            self.mappings[row.name] = self._map(row)
        table = self.mappings[row.name].table
        return table[label_map.cpu().numpy()], confidence.float().cpu().numpy(), trace

    def _reusing(
        self, row: Row, labeller: MaskLabeller, proposals: MaskProposals
    ) -> ReusingLabeller:
        trace, settings = self._traces.get(row.name), temporal_settings(row, self._config.temporal)
        known = trace.memory if trace is not None else None
        return ReusingLabeller(labeller, settings, proposals.size, known)

    def _held(self, row: Row, new: hysteresis.Pixels) -> hysteresis.Pixels:
        settings, trace = temporal_settings(row, self._config.temporal), self._traces.get(row.name)
        if not settings.hysteresis or trace is None or trace.pixels[0].shape != new[0].shape:
            return new
        labeller = self._open.get(row.name, self._closed)
        assert labeller is not None
        minimum = hysteresis.minimum_by_id(labeller.vocabulary).to(self._device)
        return hysteresis.hold(new, trace.pixels, settings.hysteresis, minimum)

    def _true_labels(
        self, row: Row, named: MaskLabels, truth: NDArray[np.int16], proposals: MaskProposals
    ) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Paint the true majority of each mask over the dense, or the true, labels."""
        classes = len(self._wanted)
        true = torch.from_numpy(truth.astype(np.int64)).to(self._device)
        one_hot = torch.nn.functional.one_hot((true + 1).clamp_min(0), classes + 1)[
            ..., 1:
        ].float()
        counts = proposals.masks.flatten(1).float() @ one_hot.flatten(0, 1)
        share, best = (counts / counts.sum(1, keepdim=True).clamp_min(1)).max(1)
        if row.true_rest:
            rest = true + 1
        else:
            assert named.pixels is not None
            table = torch.from_numpy(self.mappings[row.name].table.astype(np.int64))
            rest = table.to(self._device)[named.pixels.class_ids] + 1
        labels = MaskLabels(
            best[:, None] + 1,
            share[:, None],
            (share > 0) & (share >= row.minimum_share),
            PixelLabels(rest, torch.ones_like(rest, dtype=torch.float32)),
        )
        label_map, confidence, _ = rasterise(proposals.shapes, labels)
        drawn = label_map.cpu().numpy().astype(np.int16) - 1
        return np.where(drawn < 0, classes, drawn).astype(np.int16), confidence.cpu().numpy()

    def _propose(
        self, kind: str, pixels: Tensor, truth: NDArray[np.int16]
    ) -> tuple[MaskProposals, list[float]]:
        def make() -> MaskProposals:
            if kind in self._generators:
                found = self._generators[kind].generate(pixels)
            else:
                found = sources.proposals_of(_plain_masks(kind, truth), self._device)
            return largest_first(found, self._config.vote.maximum_mask_share)

        return self._timed(make)

    def _timed(self, call: Callable[[], T]) -> tuple[T, list[float]]:
        """Call `runs` times; return the result and the milliseconds of each call."""
        times = []
        for _ in range(self._runs):
            started = time.perf_counter()
            result = call()
            if self._device.type == 'cuda':
                torch.cuda.synchronize(self._device)
            times.append(1000 * (time.perf_counter() - started))
        return result, times

    def _load_closed(self, rows: list[Row]) -> ClosedSetLabeller | None:
        if all(_is_open(row) for row in rows):
            return None
        policy = loading.policy_of(self._config)
        return loading.load_closed_set(self._config, policy, self._runtime)

    def _load_open(self, row: Row) -> MaskLabeller:
        values = configuration.flatten(self._config) | labeller_config(row, self._wanted)
        config = configuration.from_values(values)
        load = loading.OPEN_LABELLERS[row.labels]
        return load(config, loading.policy_of(config), self._runtime)

    def _map(self, row: Row) -> ClassMapping:
        labeller = self._open[row.name] if _is_open(row) else self._closed
        assert labeller is not None
        return map_classes(labeller.vocabulary, self._wanted)


def _is_open(row: Row) -> bool:
    return row.labels not in ('vote', 'truth')


def _plain_masks(kind: str, truth: NDArray[np.int16]) -> NDArray[np.bool_]:
    if kind == 'true':
        return true_regions(truth, 1)
    return np.zeros((0, *truth.shape), bool)
