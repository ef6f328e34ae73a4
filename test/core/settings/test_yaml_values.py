"""Values are taken as YAML gives them where one thing is meant, else the right form is shown."""

from array import array

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.config import flatten, from_values
from semantic_fast_sam_ros.core.settings.yaml_files import parse_yaml


@pytest.mark.parametrize(
    ('line', 'taken'),
    [
        ('clip.scales: 1.5', '1.5'),
        ('clip.scales: 2', '2'),
        ('clip.scales: [1.2, 2]', '1.2, 2'),
        ('device: 0', 'cuda:0'),
        ("device: '1'", 'cuda:1'),
        ('cameras: [front, left]', 'front, left'),
        ('vocabulary: [road, car | van]', 'road, car | van'),
        ('clip.negatives: [wall, floor]', 'wall, floor'),
        ("masks.confidence: '0.5'", 0.5),
        ('masks.confidence: 1e-1', 0.1),  # a text, says YAML 1.1
        ("masks.image_size: '448'", 448),
        ('masks.image_size: 448.0', 448),
        ("masks.retina_masks: 'False'", False),
        ('masks.retina_masks: off', False),
        ('tracking: off', 'off'),
    ],
)
def test_a_value_that_means_one_thing_is_taken(line: str, taken: object) -> None:
    values = parse_yaml(line, 'test')
    (name,) = values
    assert flatten(from_values(values))[name] == taken


def test_a_list_of_numbers_is_taken_as_rclpy_gives_it() -> None:
    assert from_values({'clip.scales': array('d', [1.2, 2.0])}).clip.scales == '1.2, 2.0'


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        ('vocabulary: off', 'vocabulary must be a str, not False: YAML reads a bare on, off'),
        ('vocabulary: off', "vocabulary: 'off'"),
        ('vocabulary: yes', "vocabulary: 'on'"),
        ('vocabulary: 7', "write vocabulary: '7'"),
        ('vocabulary: [road, off]', "such as ['off']"),
        ('device:', "leave the line out, or write device: ''"),
        ('cameras: [1, 2]', "such as `front, left`, not '1, 2'"),
        ('masks.retina_masks: 1', 'masks.retina_masks must be a bool, not 1'),
        ('masks.image_size: large', "masks.image_size must be a int, not 'large'"),
        ("masks.iou: 'nan'", 'masks.iou must lie in 0 ... 1'),
    ],
)
def test_a_value_that_is_not_clear_is_refused_with_what_to_write(line: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        from_values(parse_yaml(line, 'test'))
    assert words in str(refused.value)
