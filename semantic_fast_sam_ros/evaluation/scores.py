"""What one row scores on one image, as arrays that can be kept on disk and summed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.evaluation import boundaries, calibration, confusion, mask_quality
from semantic_fast_sam_ros.evaluation.bench import Milliseconds, Outcome
from semantic_fast_sam_ros.evaluation.mask_quality import MaskMatches

DISTANCE_EDGES = (0, 2, 4, 8, 16, 32)  # pixels from the nearest true border
STAGES = ('masks', 'dense', 'labels')


@dataclass(frozen=True)
class ImageScores:
    """The scores of a row on an image."""

    labels: NDArray[np.int16]  # (H, W) class indices
    matrix: confusion.Matrix  # (C, C + 1)
    boundary_f: NDArray[np.float64]  # (distances, C)
    boundary_iou: NDArray[np.int64]  # (C, 2)
    calibration: calibration.Histogram
    distance: NDArray[np.int64]  # (bins, 2) pixels and wrong ones by distance from a border
    masks: MaskMatches
    mask_count: int
    stage_ms: Milliseconds


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
        found,
        confusion.confusion_matrix(truth, found, classes),
        np.stack([boundaries.boundary_f(truth, found, classes, d) for d in pixels]),
        boundaries.boundary_iou_counts(truth, found, classes, boundaries.band_width(*truth.shape)),
        calibration.histogram(truth, found, outcome.confidence),
        boundaries.error_by_distance(truth, found, DISTANCE_EDGES),
        mask_quality.match(outcome.masks, outcome.scores, regions, truth >= 0),
        len(outcome.masks),
        outcome.stage_ms,
    )


def save(path: Path, scores: ImageScores) -> None:
    """Write scores; a file cut off by a crash never carries the name."""
    partial = path.with_suffix('.part.npz')
    np.savez_compressed(
        partial,
        labels=scores.labels,
        matrix=scores.matrix,
        boundary_f=scores.boundary_f,
        boundary_iou=scores.boundary_iou,
        calibration=scores.calibration,
        distance=scores.distance,
        mask_scores=scores.masks.scores,
        matched=scores.masks.matched,
        numbers=np.array([scores.masks.regions, scores.masks.covered, scores.mask_count]),
        **{f'ms_{stage}': np.array(values) for stage, values in scores.stage_ms.items()},
    )
    partial.replace(path)


def load(path: Path) -> ImageScores:
    """Read what `save` wrote."""
    with np.load(path) as file:
        regions, covered, count = file['numbers'].tolist()
        return ImageScores(
            file['labels'],
            file['matrix'],
            file['boundary_f'],
            file['boundary_iou'],
            file['calibration'],
            file['distance'],
            MaskMatches(file['mask_scores'], file['matched'], int(regions), covered),
            int(count),
            {s: file[f'ms_{s}'].tolist() for s in STAGES if f'ms_{s}' in file},
        )
