"""Labels of several data sets become marks: the classes that a pixel may be of."""

from pathlib import Path

import labelme_facade
import numpy as np
import pytest
from label_sets import READERS, Photo
from meanings import CLASSES, MEANINGS, allowances
from owners_layouts import WRITERS, write_image
from sets import is_held_out

from semantic_fast_sam_ros.core.base.errors import FrameError


def only_photo(folder: Path, layout: str, label: list[list[int]]) -> Photo:
    """Write a set of one image in its owners' layout, and list it."""
    WRITERS[layout](folder, np.array(label))
    (photo,) = READERS[layout](folder, '')
    return photo


def meanings(folder: Path, layout: str, label: list[list[int]]) -> list[list[str]]:
    image, marks = only_photo(folder, layout, label).read()
    assert image.shape == (*marks.shape, 3)
    return [[MEANINGS[mark] if mark else '' for mark in row] for row in marks]


def facade(*names: str) -> list[int]:
    known = [*labelme_facade.COLOURS, 'various']
    return [known.index(name) for name in names]


def test_camvid_hardly_tells_cars_from_buses_nor_riders_from_what_they_ride(
    tmp_path: Path,
) -> None:
    assert meanings(tmp_path, 'camvid', [[0, 8, 10], [3, 9, 11]]) == [
        ['sky', 'car|bus or truck??', 'bicyclist|two-wheeler??'],
        ['road', 'pedestrian', ''],
    ]


@pytest.mark.parametrize(
    ('layout', 'green'), [('camvid', 5), ('labelme_facade', facade('vegetation')[0])]
)
def test_greenery_may_be_a_lawn_only_in_the_lower_half(
    layout: str, green: int, tmp_path: Path
) -> None:
    found = meanings(tmp_path, layout, [[green] * 3, [green] * 3])
    assert found == [['tree'] * 3, ['tree|terrain??'] * 3]


def test_a_house_may_have_a_pole_or_a_sign_before_it(tmp_path: Path) -> None:
    label = [
        facade('building', 'door', 'window', 'various'),
        facade('pavement', 'road', 'sky', 'car'),
    ]
    house = 'building|pole?|sign?'
    assert meanings(tmp_path, 'labelme_facade', label) == [
        [house, house, house, ''],
        ['sidewalk', 'road', 'sky|pole?', 'car|bus or truck??'],
    ]


def test_what_surrounds_the_clothed_is_unknown(tmp_path: Path) -> None:
    found = meanings(tmp_path, 'clothing', [[0, 1, 59]])
    assert found == [['', 'pedestrian', 'pedestrian']]


def test_what_coco_does_not_list_is_unknown(tmp_path: Path) -> None:
    found = meanings(tmp_path, 'coco_panoptic', [[0, 4, -1]])
    assert found == [['pedestrian', 'terrain', '']]


def test_a_person_beside_a_bicycle_may_ride_it(tmp_path: Path) -> None:
    found = meanings(tmp_path, 'coco_panoptic', [[0, 1, -1]])
    assert found == [['pedestrian|bicyclist', 'two-wheeler', '']]


def test_a_wall_is_none_of_a_buildings_where_a_bed_is(tmp_path: Path) -> None:
    inside = meanings(tmp_path / 'in', 'coco_panoptic', [[2, 3]])
    outside = meanings(tmp_path / 'out', 'coco_panoptic', [[2, 4]])
    assert inside == [['other', 'other']]
    assert outside == [['building|fence|other', 'terrain']]


def test_every_mark_allows_a_class_and_the_first_allows_all() -> None:
    table = allowances()
    assert table.shape == (len(MEANINGS), len(CLASSES))
    assert (table[0] == 1).all() and (table.max(1) == 1).all()
    assert (table[1:].min(1) == 0).all()
    doubtful = table[MEANINGS.index('car|bus or truck??')]
    assert 0 < doubtful[CLASSES.index('bus or truck')] < 0.1 < doubtful[CLASSES.index('car')]


def test_images_are_held_out_by_their_name_alone() -> None:
    kept = [is_held_out(Path(f'{i:05}.jpg'), 5) for i in range(1000)]
    assert 150 < sum(kept) < 250
    assert is_held_out(Path('/here/a.jpg'), 5) == is_held_out(Path('/there/a.png'), 5)


def test_camvids_train_split_is_trained_on_and_no_other(tmp_path: Path) -> None:
    assert not only_photo(tmp_path, 'camvid', [[0, 1]]).held_out
    (tmp_path / 'train').rename(tmp_path / 'val')
    assert READERS['camvid'](tmp_path, 'val')[0].held_out


@pytest.mark.parametrize('layout', ['camvid', 'coco_panoptic'])
def test_an_image_of_another_size_than_its_label_is_named(layout: str, tmp_path: Path) -> None:
    photo = only_photo(tmp_path, layout, [[0, 1, 1], [0, 1, 1]])
    write_image(photo.image, np.zeros((3, 2)))
    with pytest.raises(ValueError, match=photo.image.name):
        photo.read()


def test_a_label_that_is_no_image_is_named(tmp_path: Path) -> None:
    photo = only_photo(tmp_path, 'camvid', [[0, 1]])
    (tmp_path / 'train' / 'labels' / 'a.png').write_text('no image')
    with pytest.raises(FrameError, match=r'a\.png is not a readable image'):
        photo.read()
