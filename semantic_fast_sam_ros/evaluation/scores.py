"""What one row scores on one image, as arrays that can be kept on disk and summed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.networks.memory import peak_bytes
from semantic_fast_sam_ros.evaluation import (
    boundaries,
    calibration,
    confusion,
    mask_quality,
    propagation,
)
from semantic_fast_sam_ros.evaluation.bench import Milliseconds, Outcome
from semantic_fast_sam_ros.evaluation.mask_quality import MaskMatches

DISTANCE_EDGES = (0, 2, 4, 8, 16, 32)  # pixels from the nearest true border
STAGES = ('masks', 'dense', 'labels')


@dataclass(frozen=True)
class ImageScores:
    """The scores of a row on an image."""

    matrix: confusion.Matrix  # (C, C + 1)
    causes: confusion.Matrix  # (3, C, C + 1) its wrong pixels by propagation.CAUSES
    boundary_f: NDArray[np.float64]  # (distances, C)
    boundary_iou: NDArray[np.int64]  # (C, 2)
    calibration: calibration.Histogram
    distance: NDArray[np.int64]  # (bins, 2) pixels and wrong ones by distance from a border
    masks: MaskMatches
    mask_count: int
    reused: int  # masks that kept their names of the image before
    stage_ms: Milliseconds
    peak_memory_mb: float  # of the process so far


def score(
    outcome: Outcome,
    truth: NDArray[np.int16],
    classes: int,
    pixels: tuple[int, ...],
    regions: NDArray[np.bool_],
) -> ImageScores:
    """Compare an outcome with the truth, (H, W) class indices.

    Args:
        outcome: of a row.
        truth: negative = ignored.
        classes: how many the data set has.
        pixels: distances of the boundary F-score.
        regions: from `mask_quality.true_regions`.
    """
    found = outcome.labels
    return ImageScores(
        confusion.confusion_matrix(truth, found, classes),
        propagation.blame(truth, found, outcome.masks, classes),
        np.stack([boundaries.boundary_f(truth, found, classes, d) for d in pixels]),
        boundaries.boundary_iou_counts(truth, found, classes, boundaries.band_width(*truth.shape)),
        calibration.histogram(truth, found, outcome.confidence),
        boundaries.error_by_distance(truth, found, DISTANCE_EDGES),
        mask_quality.match(outcome.masks, outcome.scores, regions, truth >= 0),
        len(outcome.masks),
        outcome.reused,
        outcome.stage_ms,
        peak_memory_mb(),
    )


def peak_memory_mb() -> float:
    """Return the largest memory this process has had: of the GPU where it uses one."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated() / 2**20)
    return peak_bytes() / 2**20


def save(path: Path, scores: ImageScores, labels: NDArray[np.int16]) -> None:
    """Write scores and labels; a file cut off by a crash never carries the name."""
    partial = path.with_suffix('.part.npz')
    np.savez_compressed(
        partial,
        labels=labels,
        matrix=scores.matrix,
        causes=scores.causes,
        boundary_f=scores.boundary_f,
        boundary_iou=scores.boundary_iou,
        calibration=scores.calibration,
        distance=scores.distance,
        mask_scores=scores.masks.scores,
        matched=scores.masks.matched,
        reused=scores.reused,
        numbers=np.array(
            [
                scores.masks.regions,
                scores.masks.covered,
                scores.mask_count,
                scores.peak_memory_mb,
            ]
        ),
        **{f'ms_{stage}': np.array(values) for stage, values in scores.stage_ms.items()},
    )
    partial.replace(path)


def load(path: Path) -> ImageScores:
    """Read the scores that `save` wrote."""
    with np.load(path) as file:
        regions, covered, count, peak = file['numbers'].tolist()
        return ImageScores(
            file['matrix'],
            file['causes'],
            file['boundary_f'],
            file['boundary_iou'],
            file['calibration'],
            file['distance'],
            MaskMatches(file['mask_scores'], file['matched'], int(regions), covered),
            int(count),
            int(file['reused']),
            {s: file[f'ms_{s}'].tolist() for s in STAGES if f'ms_{s}' in file},
            peak,
        )


def load_labels(path: Path) -> NDArray[np.int16]:
    """Read the labels that `save` wrote, (H, W) class indices."""
    with np.load(path) as file:
        return np.asarray(file['labels'])
