"""Measures of the confusion matrix against torchmetrics and scikit-learn."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.evaluation import confusion

CLASSES = 5


def maps(seed: int, with_none: bool = False) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Make true labels (13, 29), some ignored, and a prediction right two times in three."""
    random = np.random.default_rng(seed)
    truth = random.integers(-1, CLASSES - 1, (13, 29)).astype(np.int16)  # the last is never true
    other = random.integers(0, CLASSES + with_none, truth.shape)
    found = np.where(random.random(truth.shape) < 0.67, np.maximum(truth, 0), other)
    return truth, found.astype(np.int16)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('with_none', [False, True])
def test_matrix_equals_scikit_learns(seed: int, with_none: bool) -> None:
    metrics = pytest.importorskip('sklearn.metrics', reason='scikit-learn is missing')
    truth, found = maps(seed, with_none)
    ours = confusion.confusion_matrix(truth, found, CLASSES)
    valid = truth >= 0
    theirs = metrics.confusion_matrix(truth[valid], found[valid], labels=range(CLASSES + 1))
    np.testing.assert_array_equal(ours, theirs[:CLASSES])


@pytest.mark.parametrize('seed', range(5))
def test_matrix_equals_torchmetrics(seed: int) -> None:
    metrics = pytest.importorskip('torchmetrics.classification', reason='torchmetrics is missing')
    truth, found = maps(seed)
    theirs = metrics.MulticlassConfusionMatrix(CLASSES, ignore_index=-1)(
        torch.from_numpy(found).long(), torch.from_numpy(truth).long()
    )
    ours = confusion.confusion_matrix(truth, found, CLASSES)
    np.testing.assert_array_equal(ours[:, :CLASSES], theirs.numpy())
    assert not ours[:, CLASSES].any()


@pytest.mark.parametrize('seed', range(5))
def test_iou_and_accuracy_equal_scikit_learns(seed: int) -> None:
    metrics = pytest.importorskip('sklearn.metrics', reason='scikit-learn is missing')
    truth, found = maps(seed)
    matrix = confusion.confusion_matrix(truth, found, CLASSES)
    valid = truth >= 0
    scores = {
        average: metrics.jaccard_score(
            truth[valid], found[valid], labels=range(CLASSES), average=average, zero_division=0
        )
        for average in (None, 'macro', 'weighted')
    }
    np.testing.assert_allclose(confusion.class_iou(matrix), scores[None])
    assert confusion.mean_iou(matrix) == pytest.approx(scores['macro'])
    assert confusion.frequency_weighted_iou(matrix) == pytest.approx(scores['weighted'])
    accuracy = metrics.accuracy_score(truth[valid], found[valid])
    assert confusion.pixel_accuracy(matrix) == pytest.approx(accuracy)


def test_iou_over_a_split_is_of_the_summed_matrix_as_torchmetrics_accumulates() -> None:
    metrics = pytest.importorskip('torchmetrics.classification', reason='torchmetrics is missing')
    metric = metrics.MulticlassJaccardIndex(CLASSES, average='macro', ignore_index=-1)
    total = np.zeros((CLASSES, CLASSES + 1), np.int64)
    for seed in range(4):
        truth, found = maps(seed)
        metric.update(torch.from_numpy(found).long(), torch.from_numpy(truth).long())
        total += confusion.confusion_matrix(truth, found, CLASSES)
    assert confusion.mean_iou(total) == pytest.approx(float(metric.compute()), abs=1e-6)


def test_a_class_that_is_neither_true_nor_predicted_does_not_count() -> None:
    truth = np.array([[0, 0, 1, -1]], np.int16)
    found = np.array([[0, 1, 1, 2]], np.int16)
    matrix = confusion.confusion_matrix(truth, found, 3)
    np.testing.assert_allclose(confusion.class_iou(matrix), [1 / 2, 1 / 2, np.nan])
    assert confusion.mean_iou(matrix) == 0.5
    assert np.isnan(confusion.mean_iou(np.zeros((3, 4), np.int64)))


def test_a_prediction_of_no_class_counts_as_wrong() -> None:
    truth = np.zeros((1, 4), np.int16)
    found = np.array([[0, 0, 0, 2]], np.int16)  # 2 = none of the two classes
    matrix = confusion.confusion_matrix(truth, found, 2)
    assert matrix.tolist() == [[3, 0, 1], [0, 0, 0]]
    assert confusion.pixel_accuracy(matrix) == confusion.mean_iou(matrix) == 0.75


def test_the_interval_holds_the_mean_and_shrinks_with_more_images() -> None:
    matrices = np.stack([confusion.confusion_matrix(*maps(seed), CLASSES) for seed in range(40)])
    wide, narrow = (confusion.bootstrap_interval(matrices[:n]) for n in (8, 40))
    for count, (low, high) in ((8, wide), (40, narrow)):
        assert low < confusion.mean_iou(matrices[:count].sum(0)) < high
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
