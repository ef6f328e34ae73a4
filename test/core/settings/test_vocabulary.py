"""Names, ids and groups: what a user may write, and what it means on the wire."""

from pathlib import Path

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.closed_set.labeller import closed_set_vocabulary
from semantic_fast_sam_ros.core.settings import vocabulary, vocabulary_files
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.vocabulary import VocabularyHistory, from_names
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list, required


def ids(words: vocabulary.Vocabulary) -> dict[str, int]:
    return {c.name: c.id for c in words.classes}


def test_a_list_has_classes_by_comma_and_synonyms_by_bar() -> None:
    words = parse_list('[road, car | motor vehicle, "dog"]')
    assert ids(words) == {'road': 1, 'car': 2, 'dog': 3}
    assert words.classes[1].names == ('car', 'motor vehicle')
    assert words.find('Motor_Vehicle') is words.classes[1]


@pytest.mark.parametrize(
    ('text', 'words'),
    [('road,,car', 'entry 2'), ('', 'empty name'), ('car, Car', 'twice'), ('a | , b', 'entry 1')],
)
def test_a_bad_list_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_list(text)


@pytest.mark.parametrize(
    ('name', 'count'),
    [
        ('cityscapes', 19),
        ('ade20k', 150),
        ('coco_panoptic', 133),
        ('camvid', 11),
        ('embedded', 15),
    ],
)
def test_shipped_vocabularies_are_whole(name: str, count: int) -> None:
    words = vocabulary_files.resolve(name)
    assert [c.id for c in words.classes] == list(range(1, count + 1))
    assert words.palette().shape == (count + 1, 3)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('classes: []', 'under the key "classes"'),
        ('names: [road]', 'under the key "classes"'),
        ('classes: [{color: [1, 2, 3], name: a}]', "did you mean 'colour'"),
        ('classes: [{name: road, colour: [1, 2]}]', 'three numbers'),
        ('classes: [{name: road, colour: [1, 2, 256]}]', 'three numbers'),
        ('classes: [{name: road, prompts: road}]', 'list of names'),
        ('classes: [{name: road, minimum_confidence: 2}]', '0-1'),
        ('classes: [{colour: [1, 2, 3]}]', 'class 1'),
        ('classes: [road, Road]', 'twice'),
        ('classes: {: [', 'not valid YAML'),
    ],
)
def test_a_malformed_file_names_file_and_fault(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / 'words.yaml'
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        vocabulary_files.resolve(str(file))
    assert words in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'nowhere\.yaml'):
        vocabulary_files.resolve(str(tmp_path / 'nowhere.yaml'))


def test_ids_never_change_their_meaning_while_a_process_runs() -> None:
    history = VocabularyHistory()
    assert ids(history.admit(from_names(['road', 'car']))) == {'road': 1, 'car': 2}
    assert ids(history.admit(from_names(['dog', 'car']))) == {'dog': 3, 'car': 2}
    assert ids(history.admit(from_names(['road', 'cat']))) == {'road': 1, 'cat': 4}


def test_names_that_the_model_does_not_know_are_told(caplog: pytest.LogCaptureFixture) -> None:
    wanted = vocabulary_files.resolve('road, vehicle | car, shopping trolley, dog')
    assert closed_set_vocabulary(('road', 'car', 'tree'), wanted, {}) is wanted
    (told,) = caplog.messages
    assert 'no class for shopping trolley, dog,' in told and 'road, car, tree' in told
    caplog.clear()
    closed_set_vocabulary(('road', 'car'), vocabulary_files.resolve('road, car'), {})
    assert not caplog.messages


def test_groups_merge_the_models_classes() -> None:
    grouped = closed_set_vocabulary(
        ('road', 'parking', 'car'), None, {'drivable': ['road', 'parking']}
    )
    assert ids(grouped) == {'drivable': 1, 'car': 2}
    assert grouped.find('parking') is grouped.classes[0]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{drivable: [rode]}', "did you mean 'road'"),
        ('{a: [road], b: [road]}', 'stands in groups'),
        ('{drivable: 3}', 'must list class names'),
        ('[road]', 'must be a map'),
    ],
)
def test_a_bad_group_map_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        closed_set_vocabulary(('road', 'car'), None, vocabulary_files.read_groups(text))
    assert words in str(refused.value)


@pytest.mark.parametrize('data_set', ['camvid', 'cityscapes', 'embedded'])
def test_shipped_group_maps_fit_their_vocabulary(data_set: str) -> None:
    file = resource_folder('config') / 'groups' / f'drivable_{data_set}.yaml'
    groups = vocabulary_files.read_groups(str(file))
    classes = vocabulary_files.resolve(data_set)
    grouped = vocabulary.apply_groups(classes, groups)
    assert 'drivable' in grouped.names
    assert len(grouped) == len(classes) - sum(len(m) for m in groups.values()) + len(groups)


def test_groups_of_a_file_are_classes_with_several_looks(tmp_path: Path) -> None:
    file = tmp_path / 'names.yaml'
    file.write_text(
        'classes:\n- {name: road}\n- {name: car, group: obstacle, colour: [1, 2, 3]}\n'
        '- {name: dog, group: obstacle, prompts: [puppy]}\n'
    )
    found = vocabulary_files.load(file)
    assert ids(found) == {'road': 1, 'obstacle': 2}
    assert found.classes[0].appearances == (('road',),)
    assert found.classes[1].appearances == (('car',), ('dog', 'puppy'))
    assert found.classes[1].colour == (1, 2, 3)
    assert found.find('puppy') is found.classes[1]


def test_groups_do_not_mix_negatives_with_classes(tmp_path: Path) -> None:
    file = tmp_path / 'names.yaml'
    file.write_text(
        'classes:\n- {name: car, group: a}\n- {name: wall, group: a, negative: true}\n'
    )
    with pytest.raises(ConfigError, match='mixes negatives'):
        vocabulary_files.load(file)


def test_generated_colours_stay_with_their_names_and_chosen_ones_stay() -> None:
    history = VocabularyHistory()
    first = history.admit(parse_list('road, car, dog'))
    second = history.admit(parse_list('lamp, dog'))
    colours = {c.name: c.colour for c in (*first.classes, *second.classes)}
    assert len(set(colours.values())) == 4
    assert second.find('dog') == first.find('dog')
    chosen = vocabulary.Vocabulary((vocabulary.SemanticClass(1, 'pole', (9, 8, 7)),))
    assert history.admit(chosen).classes[0].colour == (9, 8, 7)


def test_a_group_map_merges_names_that_are_asked_for() -> None:
    asked = {'vocabulary': 'road, sidewalk, dog', 'groups': '{drivable: [road, sidewalk]}'}
    found = required(from_values(asked))
    assert ids(found) == {'drivable': 1, 'dog': 2}
    assert found.classes[0].appearances == (('road',), ('sidewalk',))
