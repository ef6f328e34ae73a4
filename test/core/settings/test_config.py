"""Settings are written once: names, ranges and files all go through the same check."""

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings import config, profiles
from semantic_fast_sam_ros.core.settings.setting import Setting


def test_values_survive_flattening_and_building() -> None:
    changed = config.from_values({'masks.confidence': 0.5, 'vote.mode': 'hard', 'threads': 2})
    assert config.from_values(config.flatten(changed)) == changed
    assert (changed.masks.confidence, changed.vote.mode, changed.threads) == (0.5, 'hard', 2)


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'masks.confidense': 0.5}, "did you mean 'masks.confidence'"),
        ({'masks.iou': 1.5}, 'masks.iou must lie in 0 ... 1'),
        ({'masks.iou': float('nan')}, 'masks.iou must lie in 0 ... 1'),
        ({'masks.image_size': True}, 'masks.image_size must be a int'),
        ({'masks.image_size': 448.5}, 'masks.image_size must be a int'),
        ({'vote.mode': 'loud'}, 'vote.mode must be one of'),
        ({'output.size': '640'}, 'WIDTHxHEIGHT'),
        ({'output.size': '0x480'}, 'WIDTHxHEIGHT'),
        ({'output.size': '16384x16384'}, 'WIDTHxHEIGHT'),
        ({'device': None}, 'device must be a str'),
    ],
)
def test_a_bad_value_is_refused_with_what_would_be_right(
    values: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        config.from_values(values)
    assert words in str(refused.value)


@pytest.mark.parametrize('known', config.settings(), ids=lambda known: known.name)
def test_a_setting_explains_itself_and_its_default_is_allowed(known: Setting) -> None:
    assert len(known.help) > 10
    assert config.check(known, known.default) == known.default
    if known.kind in (int, float):  # the messages and the ROS descriptors name both ends
        assert known.minimum is not None and known.maximum is not None
        for beyond in (known.minimum - 1, known.maximum + 1):
            with pytest.raises(ConfigError, match='must lie in'):
                config.check(known, known.kind(beyond))
    with pytest.raises(ConfigError, match=f'{known.name} must be a'):
        config.check(known, {'value': known.default})


def test_an_integer_serves_as_a_float() -> None:
    assert config.from_values({'masks.confidence': 1}).masks.confidence == 1.0


@pytest.mark.parametrize('name', sorted(profiles.profiles()))
def test_every_shipped_profile_is_valid(name: str) -> None:
    assert profiles.load_profile(name).masks.model


def test_an_unknown_profile_names_the_closest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'cityscapes'"):
        profiles.load_profile('cityscape')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('[1, 2]', 'expected a ROS parameter file'),
        ('/**: {parameters: {}}', 'ros__parameters'),
        ('/**: {ros__parameters: {masks: {confidens: 1}}}', 'masks.confidence'),
        ('{: [', 'not valid YAML'),
    ],
)
def test_a_malformed_profile_says_what_is_wrong(tmp_path, text: str, words: str) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        profiles.load_profile(str(file))
    assert words in str(refused.value)
