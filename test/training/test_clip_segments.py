"""Segments of several data sets, each with the concept that it shows."""

from pathlib import Path

import numpy as np
import pytest
from clip_names import CONCEPTS, HELD_OUT_NAMES, LEFT_OPEN, MORE_HELD_OUT, NAMES
from clip_segments import READERS, Photo
from owners_layouts import WRITERS, write_image

SIDE = 20  # pixels of a square of the small labels below: segments of 400


def only_photo(folder: Path, layout: str, label: list[list[int]]) -> Photo:
    """Write a set of one image in its owners' layout, each value a square, and list it."""
    WRITERS[layout](folder, np.kron(np.array(label), np.ones((SIDE, SIDE), int)))
    (photo,) = READERS[layout](folder, '')
    return photo


def shown(photo: Photo) -> list[tuple[str, list[float]]]:
    """Return concepts and boxes, in squares, of a photo's segments."""
    found = photo.read()
    assert found is not None
    return [
        (CONCEPTS[concept], (box / SIDE).tolist())
        for concept, box in zip(found.concepts, found.boxes, strict=True)
    ]


def test_connected_regions_of_a_class_are_segments_of_their_own(tmp_path: Path) -> None:
    photo = only_photo(tmp_path, 'camvid', [[3, 4, 3], [11, 4, 11]])
    assert shown(photo) == [
        ('road', [0, 0, 1, 1]),
        ('road', [2, 0, 3, 1]),
        ('pavement', [1, 0, 2, 2]),
    ]


def test_coco_gives_its_own_segments_whether_connected_or_not(tmp_path: Path) -> None:
    photo = only_photo(tmp_path, 'coco_panoptic', [[0, 2, 0], [-1, 4, -1]])
    assert shown(photo) == [
        ('person', [0, 0, 3, 1]),
        ('wall', [1, 0, 2, 1]),
        ('grass', [1, 1, 2, 2]),
    ]


def test_a_person_is_one_segment_and_each_kind_of_clothes_another(tmp_path: Path) -> None:
    photo = only_photo(tmp_path, 'clothing', [[19, 0], [25, 0], [39, 0]])
    assert shown(photo) == [
        ('person', [0, 0, 1, 3]),
        ('shoes', [0, 2, 1, 3]),
        ('hair', [0, 0, 1, 1]),
        ('jeans', [0, 1, 1, 2]),
    ]


def test_small_segments_are_left_out_and_a_photo_may_have_none(tmp_path: Path) -> None:
    photo = only_photo(tmp_path, 'camvid', [[3, 4]])
    assert photo.read(SIDE * SIDE) is not None
    assert photo.read(SIDE * SIDE + 1) is None


def test_a_photo_of_another_size_than_its_label_is_named(tmp_path: Path) -> None:
    photo = only_photo(tmp_path, 'camvid', [[3, 4]])
    write_image(photo.image, np.zeros((5, 7)))
    with pytest.raises(ValueError, match=photo.image.name):
        photo.read()


def test_names_kept_out_of_training_are_no_names_of_training() -> None:
    trained = {name for names in NAMES.values() for name in names}
    kept_out = {name for names in HELD_OUT_NAMES.values() for name in names}
    assert not trained & (kept_out | set(MORE_HELD_OUT.values()))


def test_a_name_belongs_to_one_concept() -> None:
    names = [name for names in NAMES.values() for name in names]
    assert len(set(names)) == len(names)


def test_what_is_left_open_and_kept_out_are_concepts() -> None:
    others = {other for some in LEFT_OPEN.values() for other in some}
    assert others | set(LEFT_OPEN) | set(MORE_HELD_OUT) <= set(CONCEPTS)
