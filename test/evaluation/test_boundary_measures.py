"""Border measures against implementations by distance transforms of scipy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from semantic_fast_sam_ros.evaluation import boundaries

CLASSES = 4
CROSS = ndimage.generate_binary_structure(2, 1)


def maps(seed: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Make blocky true labels (40, 56) with an ignored patch, and a shifted, noisy prediction."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, CLASSES, (5, 7)).repeat(8, 0).repeat(8, 1).astype(np.int16)
    found = np.roll(truth, (seed % 3, 1), (0, 1))
    noise = random.random(found.shape) < 0.03
    found = np.where(noise, random.integers(0, CLASSES, found.shape), found).astype(np.int16)
    truth[10:14, 20:31] = -1
    return truth, found


def border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask & ~ndimage.binary_erosion(mask, CROSS, border_value=1))


def distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~mask))


def plain_boundary_f(
    truth: NDArray[np.int16], found: NDArray[np.int16], index: int, pixels: int
) -> float:
    to_ignored = distance_to(truth < 0)
    next_to_ignored = ndimage.binary_dilation(truth < 0, np.ones((3, 3)))
    true, predicted = border(truth == index), border(found == index)
    counted_true, counted_predicted = true & ~next_to_ignored, predicted & (to_ignored > pixels)
    if not counted_true.any() and not counted_predicted.any():
        return float('nan')
    hits = (distance_to(true) <= pixels)[counted_predicted].sum()
    precision = hits / max(1, counted_predicted.sum())
    recall = (distance_to(predicted) <= pixels)[counted_true].sum() / max(1, counted_true.sum())
    return 0.0 if hits == 0 and recall == 0 else 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('pixels', [1, 2, 3, 5])
def test_boundary_f_equals_that_by_distances(seed: int, pixels: int) -> None:
    truth, found = maps(seed)
    ours = boundaries.boundary_f(truth, found, CLASSES, pixels)
    theirs = [plain_boundary_f(truth, found, c, pixels) for c in range(CLASSES)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_boundary_f_of_a_line_moved_by_two_pixels() -> None:
    truth = np.zeros((10, 16), np.int16)
    truth[:, 8:] = 1
    moved = np.roll(truth, 2, 1)
    moved[:, :2] = 0
    assert boundaries.boundary_f(truth, truth, 3, 1)[:2].tolist() == [1, 1]
    assert boundaries.boundary_f(truth, moved, 3, 1)[:2].tolist() == [0, 0]
    assert boundaries.boundary_f(truth, moved, 3, 2)[:2].tolist() == [1, 1]
    assert np.isnan(boundaries.boundary_f(truth, moved, 3, 2)[2])  # no such class in the truth


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('width', [1, 2, 4])
def test_boundary_iou_equals_that_by_erosion(seed: int, width: int) -> None:
    truth, found = maps(seed)
    ours = boundaries.boundary_iou_counts(truth, found, CLASSES, width)
    valid = truth >= 0
    for index in range(CLASSES):
        # Within `width` chessboard steps of the outside, which begins at the image's edge.
        bands = []
        for mask in ((truth == index) & valid, (found == index) & valid):
            inside = ndimage.distance_transform_cdt(np.pad(mask, 1), 'chessboard')[1:-1, 1:-1]
            bands.append(mask & (inside <= width))
        a, b = bands
        assert ours[index].tolist() == [(a & b).sum(), (a | b).sum()]


def test_the_band_is_two_per_cent_of_the_diagonal() -> None:
    assert boundaries.band_width(360, 480) == 12
    assert boundaries.band_width(1024, 2048) == 46
    assert boundaries.band_width(8, 9) == 1


@pytest.mark.parametrize('seed', range(4))
def test_errors_by_distance_equal_those_of_scipys_transform(seed: int) -> None:
    truth, found = maps(seed)
    edges = (0, 2, 4, 8)
    ours = boundaries.error_by_distance(truth, found, edges)
    beside = np.zeros(truth.shape, bool)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        other = np.roll(truth, step, axis)
        edge = (0 if step == 1 else -1,)
        differs = other != truth
        differs[edge if axis == 0 else (slice(None), *edge)] = False
        beside |= differs
    distance, valid = distance_to(beside), truth >= 0
    for i, low in enumerate(edges):
        high = edges[i + 1] if i + 1 < len(edges) else np.inf
        place = valid & (distance >= low) & (distance < high)
        assert ours[i].tolist() == [place.sum(), (place & (truth != found)).sum()]
