"""Calibration against torchmetrics."""

import numpy as np
import pytest
import torch

from semantic_fast_sam_ros.evaluation import calibration


def example(seed: int):
    random = np.random.default_rng(seed)
    truth = random.integers(-1, 4, (31, 47)).astype(np.int16)
    confidence = random.uniform(0.05, 0.999, truth.shape)
    right = random.random(truth.shape) < confidence**1.7
    found = np.where(right, np.maximum(truth, 0), (truth + 1) % 4).astype(np.int16)
    return truth, found, confidence.astype(np.float32)


@pytest.mark.parametrize('seed', range(4))
def test_expected_error_equals_torchmetrics(seed: int) -> None:
    metrics = pytest.importorskip('torchmetrics.classification', reason='torchmetrics is missing')
    truth, found, confidence = example(seed)
    valid = truth >= 0
    theirs = metrics.BinaryCalibrationError(n_bins=calibration.BINS, norm='l1')(
        torch.from_numpy(confidence[valid]), torch.from_numpy((truth == found)[valid]).long()
    )
    counts = calibration.histogram(truth, found, confidence)
    assert calibration.expected_error(counts) == pytest.approx(float(theirs), abs=1e-6)
    assert calibration.expected_error(counts) > 0.05


def test_histograms_of_images_add_up() -> None:
    parts = [example(seed) for seed in range(3)]
    whole = [np.concatenate(values) for values in zip(*parts, strict=True)]
    summed = np.sum([calibration.histogram(*part) for part in parts], 0)
    np.testing.assert_allclose(summed, calibration.histogram(*whole))


def test_hand_computed_bins() -> None:
    truth = np.array([[0, 0, 0, 0, -1, 0]], np.int16)
    found = np.array([[0, 1, 0, 0, 0, 0]], np.int16)
    confidence = np.array([[0.8, 0.8, 1.0, 0.79, 0.5, 0.0]])  # ignored; no answer
    counts = calibration.histogram(truth, found, confidence)
    assert counts[11].tolist() == pytest.approx([3, 2.39, 2])  # (11/15, 12/15]
    assert counts[14].tolist() == pytest.approx([1, 1, 1])
    assert calibration.expected_error(counts) == pytest.approx(0.39 / 4)
    points = calibration.reliability(counts)
    assert [p['share'] for p in points] == [0.75, 0.25]


def test_no_answer_at_all_has_no_error() -> None:
    nothing = calibration.histogram(
        np.zeros((2, 3), np.int16), np.zeros((2, 3), np.int16), np.zeros((2, 3))
    )
    assert np.isnan(calibration.expected_error(nothing))
