"""A vocabulary setting is read as it was meant, or refused: never one class of that name."""

from pathlib import Path

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

NAMES = ('road', 'car', 'sky')


@pytest.mark.parametrize(
    'text',
    [
        'road, car, sky',
        'road;car;sky',
        'road; car; sky',
        '[road, car, sky]',
        '{road, car, sky}',
        '(road, car, sky)',
        '[\'road\', "car", sky]',
        'road\ncar\nsky\n',
        '- road\n- car\n- sky\n',
        'road,\n  car;\r\n\nsky',
        '[road,\n car, sky\n]',
        '- road,\n- car,\n- sky',
        'classes:\n- name: road\n- car\n- {name: sky}\n',
    ],
)
def test_a_list_is_read_however_it_is_written(text: str) -> None:
    assert resolve(text).names == NAMES


def test_a_name_may_go_on_in_the_next_line() -> None:
    found = resolve('road |\n  street, car')
    assert found.names == ('road', 'car') and found.classes[0].prompts == ('road', 'street')


@pytest.mark.parametrize('ending', ['txt', 'TXT', 'names'])
def test_a_text_file_has_a_name_a_line(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f'classes.{ending}'
    file.write_text('\ufeffroad\r\n\ncar | van  # two prompts\r\n# none\nsky', encoding='utf-8')
    found = resolve(str(file))
    assert found.names == NAMES and found.classes[1].prompts == ('car', 'van')


def test_json_is_read_as_the_yaml_that_it_is(tmp_path: Path) -> None:
    file = tmp_path / 'names.json'
    file.write_text('{"classes": ["road", {"name": "car"}, "sky"]}')
    assert resolve(str(file)).names == NAMES


@pytest.mark.parametrize('text', ['CamVid', 'camvid', 'CAMVID', ' camvid '])
def test_a_shipped_name_is_known_in_any_case(text: str) -> None:
    assert len(resolve(text)) == 11


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('cityscape', "did you mean 'cityscapes'"),
        ('ade-20k', "did you mean 'ade20k'"),
        ('coco panotic', "did you mean 'coco_panoptic'"),
        ('cityscape', '`[cityscape]`'),
        ('classes.txt', f'cannot read classes.txt in {Path.cwd()}: No such file or directory'),
        ('/my/classes.yaml', 'cannot read /my/classes.yaml: No such file or directory'),
        ('classes.csv', 'files of names are .yaml, .yml, .json, .txt, .names'),
        ('{road: 1, car: 2}', "has ':' in it"),
        ('road=1, car', "has '=' in it"),
        ('road,, car', 'entry 2'),
        ('[]', 'has an empty name'),
    ],
)
def test_what_is_no_list_is_refused_with_what_would_be_right(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    'text',
    ['dog', 'traffic light', '[cityscape]', 'St. Bernard', 'cat (animal)', 'Straße', '道路'],
)
def test_one_class_may_still_be_asked_for(text: str) -> None:
    assert resolve(text).names == (text.strip('[]'),)
