"""Sum the images' scores up into the figures of a row."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.evaluation import (
    calibration,
    confusion,
    mask_quality,
    propagation,
    temporal,
)
from semantic_fast_sam_ros.evaluation import scores as image_scores
from semantic_fast_sam_ros.evaluation.mask_quality import MaskMatches
from semantic_fast_sam_ros.evaluation.rows import Row
from semantic_fast_sam_ros.evaluation.run import Plan, mappings, stored
from semantic_fast_sam_ros.evaluation.samples import DataSet, Sample
from semantic_fast_sam_ros.evaluation.scores import DISTANCE_EDGES, STAGES, ImageScores

RECALL_MASKS, RECALL_THRESHOLDS = 100, (0.5, 0.75)  # of the recall at single IoUs
NO_MASKS = {'mask_ar': None, 'mask_recall': None, 'mask_ap': None, 'mask_coverage': 0.0}
FlowTargets = dict[tuple[str, str], NDArray[np.int32]]


@dataclass(frozen=True)
class Frames:
    """Neighbouring frames of one sequence, and where the pixels go between them."""

    pairs: list[tuple[Sample, Sample]]
    moved: FlowTargets
    truth: float  # agreement of the true labels: what a perfect labeller would reach


def summarise(plan: Plan) -> dict[str, Any]:
    """Return all figures of an evaluation as plain values: what --json writes."""
    frames = follow(plan.data_set)
    return {
        'dataset': plan.data_set.name,
        'split': plan.data_set.split,
        'images': len(plan.data_set.samples),
        'stride': plan.data_set.stride,
        'sequences': sorted({s.sequence for s in plan.data_set.samples}),
        'classes': list(plan.data_set.vocabulary.names),
        'boundary_pixels': list(plan.boundary_pixels),
        'temporal_truth': frames.truth if frames.pairs else None,
        'frame_pairs': len(frames.pairs),
        'torch_threads': torch.get_num_threads(),
        'class_mapping': {', '.join(names): text for text, names in mappings(plan).items()},
        'rows': [_row(plan, row, frames) for row in plan.rows],
    }


def follow(data_set: DataSet) -> Frames:
    """Follow the pixels of each frame into the next of its sequence."""
    pairs = [
        (a, b)
        for a, b in pairwise(data_set.samples)
        if data_set.is_video and a.sequence and a.sequence == b.sequence
    ]
    moved: FlowTargets = {}
    counts = np.zeros(2, np.int64)
    for a, b in pairs:
        (first, true_first), (second, true_second) = data_set.read(a), data_set.read(b)
        if first.shape != second.shape:
            continue
        target = temporal.targets(temporal.flow(first, second), temporal.flow(second, first))
        moved[a.name, b.name] = target
        counts += temporal.agreement(true_first, true_second, target)
    return Frames(pairs, moved, float(counts[1] / max(1, counts[0])))


def _row(plan: Plan, row: Row, frames: Frames) -> dict[str, Any]:
    images = list(stored(plan, row))
    matrices = np.stack([s.matrix for s in images])
    matrix = matrices.sum(0)
    names = plan.data_set.vocabulary.names
    low, high = confusion.bootstrap_interval(matrices)
    histogram = np.sum([s.calibration for s in images], 0)
    band = np.sum([s.boundary_iou for s in images], 0)
    band_iou = np.where(band[:, 1] > 0, band[:, 0] / np.maximum(band[:, 1], 1), np.nan)
    distance = np.sum([s.distance for s in images], 0)
    return {
        'name': row.name,
        'about': row.about,
        'miou': confusion.mean_iou(matrix),
        'miou_interval': [low, high],
        'miou_by_sequence': _by_sequence(plan.data_set, matrices),
        'per_class_iou': _named(names, confusion.class_iou(matrix)),
        'pixel_accuracy': confusion.pixel_accuracy(matrix),
        'frequency_weighted_iou': confusion.frequency_weighted_iou(matrix),
        'boundary_f': _boundary_f(plan, images),
        'boundary_iou': number(_mean(band_iou)),
        **(mask_figures([s.masks for s in images]) if row.masks else NO_MASKS),
        'mask_count': float(np.mean([s.mask_count for s in images])),
        'mask_reused': _reused(row, images),
        'ece': number(calibration.expected_error(histogram)),
        'reliability': calibration.reliability(histogram),
        'error_propagation': _propagation(names, matrix, images) if row.masks else None,
        'error_by_distance': [
            {'from_px': edge, 'pixels': int(n), 'wrong': int(wrong)}
            for edge, (n, wrong) in zip(DISTANCE_EDGES, distance.tolist(), strict=True)
        ],
        'temporal': _temporal(plan, row, frames),
        **_timing(images),
        'peak_memory_mb': max(s.peak_memory_mb for s in images),
        'runs': plan.runs,
        'per_image_miou': {
            sample.name: number(confusion.mean_iou(s.matrix))
            for sample, s in zip(plan.data_set.samples, images, strict=True)
        },
    }


def number(value: float) -> float | None:
    """Return a value that JSON knows: NaN becomes null."""
    return float(value) if np.isfinite(value) else None


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')


def _named(names: tuple[str, ...], values: NDArray[np.float64]) -> dict[str, float | None]:
    return {name: number(value) for name, value in zip(names, values.tolist(), strict=True)}


def _boundary_f(plan: Plan, images: list[ImageScores]) -> dict[str, float | None]:
    """Average over the classes of an image, then over the images."""
    stacked = np.stack([s.boundary_f for s in images])
    return {
        str(pixels): number(_mean(np.array([_mean(image) for image in stacked[:, i]])))
        for i, pixels in enumerate(plan.boundary_pixels)
    }


def mask_figures(matches: list[MaskMatches]) -> dict[str, Any]:
    """Return recall, precision and coverage of masks."""
    limits = mask_quality.MASK_LIMITS
    return {
        'mask_ar': {
            str(limit): number(mask_quality.average_recall(matches, limit)) for limit in limits
        },
        'mask_recall': {
            str(threshold): number(mask_quality.recall(matches, RECALL_MASKS, threshold))
            for threshold in RECALL_THRESHOLDS
        },
        'mask_ap': number(mask_quality.average_precision(matches)),
        'mask_coverage': float(np.mean([m.covered for m in matches])),
    }


def _reused(row: Row, images: list[ImageScores]) -> float | None:
    """Return the share of the masks that kept their names of the image before."""
    if not row.temporal.get('reuse'):
        return None
    return sum(s.reused for s in images) / max(1, sum(s.mask_count for s in images))


def _by_sequence(data_set: DataSet, matrices: confusion.Matrix) -> dict[str, float | None]:
    sequences = [sample.sequence for sample in data_set.samples]
    return {
        name: number(
            confusion.mean_iou(matrices[[i for i, s in enumerate(sequences) if s == name]].sum(0))
        )
        for name in sorted(set(sequences))
    }


def _propagation(
    names: tuple[str, ...], matrix: confusion.Matrix, images: list[ImageScores]
) -> dict[str, dict[str, float | None]]:
    """Return cause -> 'mean' and each class -> IoU that curing it would win."""
    causes = np.sum([s.causes for s in images], 0)
    return {
        cause: {'mean': number(_mean(won)), **_named(names, won)}
        for cause, won in propagation.gains(matrix, causes).items()
    }


def _temporal(plan: Plan, row: Row, frames: Frames) -> float | None:
    """Follow the labels along the flow, two label maps in memory at a time."""
    counts = np.zeros(2, np.int64)
    name, labels = '', np.zeros((0, 0), np.int16)
    for (a, b), moved in frames.moved.items():
        first = labels if a == name else image_scores.load_labels(plan.file(row, a))
        name, labels = b, image_scores.load_labels(plan.file(row, b))
        counts += temporal.agreement(first, labels, moved)
    return float(counts[1] / counts[0]) if counts[0] else None


def _timing(images: list[ImageScores]) -> dict[str, Any]:
    """Return mean and deviation over the runs of the mean time an image, by stage and in all."""
    stages = [stage for stage in STAGES if any(stage in s.stage_ms for s in images)]
    means = {stage: np.mean([s.stage_ms[stage] for s in images], 0) for stage in stages}
    total = np.sum(list(means.values()), 0)
    values = {**means, 'total': total}
    return {
        'stage_ms': {
            name: {
                'mean': float(v.mean()),
                'std': float(v.std(ddof=1)) if len(v) > 1 else None,
            }
            for name, v in values.items()
        },
        'frames_per_second': float(1000 / total.mean()),
    }
