"""Data sets in their owners' layouts become labels by the places of names in a list."""

import sys
from pathlib import Path

import labelme_facade
import named_labels
import numpy as np
import pytest
from owners_layouts import CATEGORIES, WRITERS

from semantic_fast_sam_ros.evaluation.datasets import Source, read_data_set

CLASSES = 'background, two wheels | bicycle, person'


def written(
    layout: str,
    label: list[list[int]],
    classes: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[list[int]]:
    """Write a set of one image, rewrite it, and return what `evaluate generic` reads of it."""
    WRITERS[layout](folder / 'owners', np.array(label))
    words = [layout, str(folder / 'owners'), str(folder / 'out'), f'--classes={classes}']
    monkeypatch.setattr(sys, 'argv', ['named_labels.py', *words])
    named_labels.main()
    data_set = read_data_set('generic', Source(folder / 'out', 'val', vocabulary=classes))
    (sample,) = data_set.samples
    return data_set.read(sample)[1].tolist()


def test_names_of_coco_become_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CATEGORIES[:3] == ('person', 'bicycle', 'wall-other-merged')
    label = [[0, 1], [2, -1]]
    assert written('coco_panoptic', label, CLASSES, tmp_path, monkeypatch) == [[2, 1], [0, -1]]


def test_without_a_background_the_rest_is_not_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(labelme_facade.COLOURS)
    label = [[names.index('window'), names.index('road')], [names.index('sky'), len(names)]]
    found = written('labelme_facade', label, 'building | window, road', tmp_path, monkeypatch)
    assert found == [[0, 1], [-1, -1]]
