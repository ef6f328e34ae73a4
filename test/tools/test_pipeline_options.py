"""Settings of commands that label without a node."""

import argparse

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.tools.pipeline_options import (
    add_pipeline_arguments,
    config_from,
    offline_config_from,
    scored_config_from,
    still,
)


def _arguments(*words: str):
    parser = argparse.ArgumentParser()
    add_pipeline_arguments(parser)
    return parser.parse_args(words)


def _config(*words: str):
    return config_from(_arguments(*words))


def test_set_goes_over_the_profile():
    config = _config('--set', 'output.size=64x48', '--set', 'masks.confidence=0.5')
    assert (config.output.size, config.masks.confidence) == ('64x48', 0.5)


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ('masks.confidence', 'NAME=VALUE'),
        ('masks.confidense=1', "did you mean 'masks.confidence'"),
        ('output.size=camera_info', 'only the node hears: give --set output.size=WIDTHxHEIGHT'),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_would_be_right(given, words):
    with pytest.raises(ConfigError, match=words):
        _config('--set', given)


@pytest.mark.parametrize('given', ['temporal.reuse=true', 'temporal.hysteresis=0.5'])
def test_offline_images_stand_for_themselves_and_that_is_told(given, capsys):
    assert _config('--set', given).temporal.active
    assert offline_config_from(_arguments('--set', given)).temporal == TemporalSettings()
    assert 'labels every image by itself' in capsys.readouterr().err


def test_nothing_is_told_where_no_temporal_setting_is_on(capsys):
    config = offline_config_from(_arguments('--set', 'masks.confidence=0.5'))
    assert config.masks.confidence == 0.5
    assert not capsys.readouterr().err


def test_names_do_not_settle_over_files_and_that_is_told(capsys):
    config = _config('--profile', 'embedded_open', '--set', 'clip.adaptation=ul_tta')
    assert config.clip.adaptation == 'ul_tta' and still(config).clip.adaptation == 'off'
    assert 'names do not settle' in capsys.readouterr().err
    assert still(_config()) == _config() and not capsys.readouterr().err


@pytest.mark.parametrize('settle', [offline_config_from, scored_config_from])
def test_names_that_a_robot_learned_are_refused_offline(settle):
    words = ('--profile', 'embedded_open', '--set', 'clip.adaptation_file=names.safetensors')
    with pytest.raises(ConfigError, match=r"for the node.*--set clip\.adaptation_file=''"):
        settle(_arguments(*words))
    assert not settle(_arguments(*words, '--set', "clip.adaptation_file=''")).clip.adaptation_file


def test_settings_that_the_labeller_does_not_heed_are_told(capsys):
    offline_config_from(_arguments('--set', 'clip.fill=mean'))
    told = 'the labeller closed_set does not heed clip.fill (for clip and hybrid)'
    assert told in capsys.readouterr().err


def test_evaluate_tells_which_rows_look_back(capsys):
    scored_config_from(_arguments('--set', 'clip.adaptation=ul_tta'))
    assert '_reused, _hysteresis or _adapted' in capsys.readouterr().err
    scored_config_from(_arguments())
    assert not capsys.readouterr().err
