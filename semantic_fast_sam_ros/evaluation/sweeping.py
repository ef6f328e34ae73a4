"""Search the settings of masks and vote on cached networks' outputs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import nms

from semantic_fast_sam_ros.core import loading
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.masks.painting import largest_first, rasterise
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks import model_files
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.models import MaskSettings, VoteSettings
from semantic_fast_sam_ros.evaluation import boundaries, confusion
from semantic_fast_sam_ros.evaluation.mapping import map_classes
from semantic_fast_sam_ros.evaluation.samples import DataSet

LOWEST_CONFIDENCE, HIGHEST_IOU = 0.05, 0.9
BOUNDARY_PIXELS = 3


@dataclass(frozen=True)
class Cached:
    """What the networks say of one image, in few bytes; settings are applied to it."""

    sequence: str
    truth: np.ndarray[Any, np.dtype[np.int16]]
    dense: DenseMap  # float16
    packed: np.ndarray[Any, np.dtype[np.uint8]]  # (N, ceil(H W / 8)) masks
    boxes: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Trial:
    """One combination of settings."""

    confidence: float
    iou: float
    vote: VoteSettings


class Networks:
    """The networks of a profile, run once an image."""

    def __init__(self, config: Config, data_set: DataSet, image_size: int) -> None:
        """Load them."""
        runtime = choose_runtime(config)
        policy = loading.policy_of(config)
        labeller = loading.load_closed_set(config, policy, runtime)
        self.segmenter, self.vocabulary = labeller.segmenter, labeller.vocabulary
        self.table = map_classes(self.vocabulary, data_set.vocabulary).table
        settings = MaskSettings(
            image_size=image_size, confidence=LOWEST_CONFIDENCE, iou=HIGHEST_IOU, max_masks=200
        )
        checkpoint = model_files.mask_model(config.masks).find(policy)
        self._generator = FastSamGenerator(checkpoint, settings, runtime)
        self._device = runtime.device

    def read(self, data_set: DataSet) -> Iterator[Cached]:
        """Run all samples."""
        for sample in data_set.samples:
            image, truth = data_set.read(sample)
            pixels = torch.from_numpy(image).to(self._device).permute(2, 0, 1)
            with torch.inference_mode():
                dense = self.segmenter.segment(pixels)
                found = self._generator.generate(pixels)
            yield Cached(
                sample.sequence,
                truth,
                replace(dense, scores=dense.scores.half().cpu()),
                np.packbits(found.masks.flatten(1).cpu().numpy(), axis=1),
                found.boxes.cpu(),
                found.scores.cpu(),
            )

    def matrix(self, cached: Cached, trial: Trial, classes: int) -> tuple[confusion.Matrix, float]:
        """Return confusion matrix and boundary F of a trial on an image."""
        labeller = ClosedSetLabeller(self.segmenter, self.vocabulary, trial.vote)
        proposals = select(cached, trial)
        label_map, _, _ = rasterise(proposals.shapes, labeller.vote(cached.dense, proposals))
        found = self.table[label_map.numpy()]
        scores = boundaries.boundary_f(cached.truth, found, classes, BOUNDARY_PIXELS)
        mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else float('nan')
        return confusion.confusion_matrix(cached.truth, found, classes), mean


def select(cached: Cached, trial: Trial) -> MaskProposals:
    """Return the masks that the settings of a trial would have given.

    Suppression at a high overlap and again at a lower one keeps nearly what the lower one keeps.
    """
    kept = (cached.scores >= trial.confidence).nonzero()[:, 0]
    kept = kept[nms(cached.boxes[kept], cached.scores[kept], trial.iou)][:100]
    size = cached.truth.shape
    masks = np.unpackbits(cached.packed[kept.numpy()], axis=1, count=size[0] * size[1])
    shaped = torch.from_numpy(masks.reshape(-1, *size).astype(bool))
    found = MaskProposals(shaped, cached.boxes[kept], cached.scores[kept])
    return largest_first(found, trial.vote.maximum_mask_share)


def trials(base: VoteSettings) -> Iterator[Trial]:
    """List the combinations: hard and soft by purity, fusion by weight and floor."""
    for confidence, iou in product((0.1, 0.15, 0.25), (0.7, 0.9)):
        for mode, purity in product(('hard', 'soft'), (0.0, 0.5, 0.7, 0.9, 0.95)):
            yield Trial(confidence, iou, replace(base, mode=mode, minimum_purity=purity))
        for weight, floor in product((0.1, 0.2, 0.35, 0.7, 1.5, 2.5), (0.01, 0.05, 0.2)):
            yield Trial(
                confidence,
                iou,
                replace(
                    base,
                    mode='fusion',
                    fusion_weight=weight,
                    fusion_floor=floor,
                ),
            )


def describe(trial: Trial) -> dict[str, float | str]:
    """Return the settings of a trial that its mode reads."""
    vote = trial.vote
    values: dict[str, float | str] = {
        'masks.confidence': trial.confidence,
        'masks.iou': trial.iou,
        'vote.mode': vote.mode,
    }
    if vote.mode == 'fusion':
        values |= {
            'vote.fusion_weight': vote.fusion_weight,
            'vote.fusion_floor': vote.fusion_floor,
        }
    else:
        values['vote.minimum_purity'] = vote.minimum_purity
    return values


def measure(
    networks: Networks,
    images: list[Cached],
    chosen: Iterable[Trial],
    classes: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return one record a trial: settings, boundary F, mIoU of all, each fold and its rest."""
    records = []
    folds = folds_of(images)
    for trial in chosen:
        with torch.inference_mode():
            found = [networks.matrix(image, trial, classes) for image in images]
        matrices = np.stack([m for m, _ in found])
        records.append(
            {
                'settings': describe(trial),
                'miou': confusion.mean_iou(matrices.sum(0)),
                'boundary_f': float(np.nanmean([f for _, f in found])),
                'folds': {n: confusion.mean_iou(matrices[m].sum(0)) for n, m in folds.items()},
                'rest': {n: confusion.mean_iou(matrices[~m].sum(0)) for n, m in folds.items()},
            }
        )
        progress(f'{len(records)}: {100 * records[-1]["miou"]:.2f} {describe(trial)}')
    return records


def dense_trial(base: VoteSettings) -> Trial:
    """Return the trial in which no mask is heard."""
    return Trial(1.1, HIGHEST_IOU, base)


def folds_of(images: list[Cached]) -> dict[str, NDArray[np.bool_]]:
    """Return which images form each fold: a sequence each, or the halves of a single one."""
    names = np.array([image.sequence for image in images])
    different = np.unique(names)
    if len(different) > 1:
        return {str(name): names == name for name in different}
    first = np.arange(len(images)) < max(1, len(images) // 2)
    return {'first half': first, 'second half': ~first}


def cross_check(records: list[dict[str, Any]]) -> dict[str, float]:
    """Choose on the rest, measure on the fold: what a choice is worth on images not seen."""
    return {
        name: float(max(records, key=lambda r: float(r['rest'][name]))['folds'][name])
        for name in records[0]['folds']
    }


def at_half_size(images: list[Cached]) -> list[Cached]:
    """Return the cached images with every second row and column: a quarter of the work."""
    return [_halved(image) for image in images]


def _halved(image: Cached) -> Cached:
    height, width = image.truth.shape
    masks = np.unpackbits(image.packed, axis=1, count=height * width)
    small = masks.reshape(-1, height, width)[:, ::2, ::2]
    size = small.shape[1:]
    scores = functional.interpolate(
        image.dense.scores.float()[None], (height, width), mode='bilinear'
    )[0, :, ::2, ::2]
    return replace(
        image,
        truth=np.ascontiguousarray(image.truth[::2, ::2]),
        dense=replace(image.dense, scores=scores.contiguous()),
        packed=np.packbits(small.reshape(-1, size[0] * size[1]), axis=1),
    )
