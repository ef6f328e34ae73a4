"""CamVid with its known labels, through a recording and back, with the shipped models."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_sets import data_set

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.evaluation.confusion import class_iou, confusion_matrix, mean_iou

from .recordings import PERIOD_NS, START_NS, image_message, write_bag
from .test_labelling import label_maps

ROOT = Path(__file__).resolve().parents[2]
COUNT = 6
CLASSES, IGNORE = 11, 11
SETTINGS = {
    'masks.image_size': 256,
    'threads': 1,
    'offline': True,
    'vocabulary': 'camvid',
}


def _matrix(truths, label_maps):
    """Sum the confusion of published ids, which are the data set's indices plus one."""
    total = np.zeros((CLASSES, CLASSES + 1), np.int64)
    for truth, labels in zip(truths, label_maps, strict=True):
        expected = np.where(truth == IGNORE, -1, truth.astype(np.int16)).astype(np.int16)
        predicted = np.where(labels == 0, CLASSES, labels.astype(np.int16) - 1)
        total += confusion_matrix(expected, predicted.astype(np.int16), CLASSES)
    return total


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_labels_of_a_recording_equal_and_score_as_those_of_the_images(tmp_path):
    val = data_set('camvid') / 'val'
    files = sorted((val / 'images').glob('*.png'))[:: 101 // COUNT][:COUNT]
    try:
        pipeline = SemanticFastSam(load_profile('embedded', SETTINGS))
    except ModelError as error:
        pytest.skip(f'the shipped models are not here: {error}')
    images = [read_image(f) for f in files]
    truths = [read_labels(val / 'labels' / f.name) for f in files]
    times = [START_NS + i * PERIOD_NS for i in range(COUNT)]
    frames = [('/camera', t, image_message(i, t)) for t, i in zip(times, images, strict=True)]
    bag = write_bag(tmp_path / 'bag', frames, 'sqlite3')
    words = [f'{name}={str(value).lower()}' for name, value in SETTINGS.items()]
    command = [sys.executable, '-m', 'semantic_fast_sam_ros', 'label_bag', str(bag)]
    command += [str(tmp_path / 'out'), '--quiet', *(w for word in words for w in ('--set', word))]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    found = label_maps(tmp_path / 'out')
    assert [time for time, _ in found] == times
    direct = [pipeline(image).label_map for image in images]
    for (_, labels), expected in zip(found, direct, strict=True):
        assert np.array_equal(labels, expected)
    by_bag, by_image = _matrix(truths, [m for _, m in found]), _matrix(truths, direct)
    assert np.array_equal(by_bag, by_image)
    assert mean_iou(by_bag) == mean_iou(by_image) > 0.3, class_iou(by_bag)
