"""Which classes are things: as vocabularies say, else as those that ship say of the name."""

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.things import STUFF, THING, UNKNOWN, is_thing, kinds
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve


@pytest.mark.parametrize(
    ('name', 'things'),
    [('coco_panoptic', 80), ('ade20k', 100), ('cityscapes', 10), ('camvid', 4), ('embedded', 6)],
)
def test_shipped_vocabularies_divide_as_their_owners_do(name: str, things: int) -> None:
    """Of Cityscapes, whose owners count eight, lights and signs are things, too."""
    assert sum(map(is_thing, resolve(name).classes)) == things


@pytest.mark.parametrize(
    ('text', 'kind'),
    [
        ('Road', STUFF),
        ('car | vehicle', THING),
        ('forklift', THING),
        ('forklift | road', STUFF),
        ('traffic light', THING),
        ('side-walk | pavement', STUFF),
    ],
)
def test_a_name_without_a_word_of_it_is_what_shipped_ones_say(text: str, kind: int) -> None:
    assert kinds(resolve(f'[{text}]')).tolist() == [UNKNOWN, kind]


def test_a_file_goes_before_the_names() -> None:
    words = resolve('classes: [{name: road, thing: true}, {name: car, thing: false}, dog]')
    assert kinds(words).tolist() == [UNKNOWN, THING, STUFF, THING]


def test_a_group_is_what_its_first_member_is() -> None:
    words = resolve(
        'classes: [{name: road, group: drivable}, {name: parking, thing: true, group: drivable}]'
    )
    assert kinds(words).tolist() == [UNKNOWN, STUFF]


def test_anything_but_true_and_false_is_refused() -> None:
    with pytest.raises(ConfigError, match="class 1: thing must be true or false, not 'maybe'"):
        resolve('classes: [{name: road, thing: maybe}]')
