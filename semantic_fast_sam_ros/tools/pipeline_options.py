"""Options that choose models and settings, for commands that label without a node."""

import argparse
import sys
from dataclasses import replace

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.effects import without_effect
from semantic_fast_sam_ros.core.settings.node import CAMERA_INFO
from semantic_fast_sam_ros.core.settings.objects import OFF
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.core.settings.yaml_files import parse_yaml


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --profile, --vocabulary, --device and --set."""
    parser.add_argument(
        '--profile',
        default='embedded',
        help='shipped profile or parameter file (default: embedded)',
    )
    parser.add_argument('--vocabulary', default='', help="names to use instead of the profile's")
    add_setting_arguments(parser)


def add_setting_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --device and --set."""
    parser.add_argument('--device', default='', help="cpu, cuda:0, ... instead of the profile's")
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='one setting, such as masks.confidence=0.3; may be given again',
    )


def config_from(arguments: argparse.Namespace) -> Config:
    """Return the settings that the options ask for.

    Raises:
        ConfigError: an option is malformed, or a setting unknown, out of range or the node's only.
    """
    values = settings_from(arguments)
    if arguments.vocabulary:
        values['vocabulary'] = arguments.vocabulary
    config = load_profile(arguments.profile, values)
    if config.output.size == CAMERA_INFO:
        raise ConfigError(
            'output.size camera_info takes the size from messages that only the node hears: '
            'give --set output.size=WIDTHxHEIGHT, or input'
        )
    return config


def settings_from(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings that --device and --set give, by name.

    Raises:
        ConfigError: an option is malformed.
    """
    values: dict[str, object] = {}
    for text in arguments.set:
        name, equals, value = text.partition('=')
        if not equals:
            raise ConfigError(f'--set takes NAME=VALUE, not {text!r}')
        values[name.strip()] = parse_yaml(value, f'--set {name}')
    if arguments.device:
        values['device'] = arguments.device
    return values


def offline_config_from(arguments: argparse.Namespace, tracks: bool = False) -> Config:
    """Return the settings as `config_from` does, for commands whose images stand for themselves.

    Labels that depend on the images before would differ where a run is resumed, shared out or
    takes several images at once: temporal.* is switched off, and that is said. So is
    tracking, for commands without `tracks`.

    Raises:
        ConfigError: as `config_from`; labels would depend on a file of what was learned before.
    """
    config = config_from(arguments)
    tell_unheeded(config)
    _require_no_kept_names(config)
    if config.temporal.active:
        print(
            'temporal.reuse and temporal.hysteresis are for the node and `evaluate`: this command '
            'labels every image by itself',
            file=sys.stderr,
        )
    if config.tracking != OFF and not tracks:
        print('tracking is for the node and `label_bag`: mask ids mean one image', file=sys.stderr)
        config = replace(config, tracking=OFF)
    return replace(config, temporal=TemporalSettings())


def scored_config_from(arguments: argparse.Namespace) -> Config:
    """Return the settings as `config_from` does, for commands that score the rows of `evaluate`.

    Rows of their own show what depends on the images before; others do not heed these settings,
    and that is said.

    Raises:
        ConfigError: as `offline_config_from`.
    """
    config = config_from(arguments)
    _require_no_kept_names(config)
    if config.temporal.active or config.clip.adapts:
        print(
            'only rows whose names end in _reused, _hysteresis or _adapted look at the images '
            'before: clip.adaptation and temporal.* change no other',
            file=sys.stderr,
        )
    return config


def _require_no_kept_names(config: Config) -> None:
    if config.clip.adaptation_file:
        raise ConfigError(
            'clip.adaptation_file is for the node: this command says the same of the same images, '
            "whatever a robot has learned; give --set clip.adaptation_file=''"
        )


def tell_unheeded(config: Config) -> None:
    """Say on stderr which settings the labeller does not heed."""
    if told := without_effect(config):
        print(told, file=sys.stderr)


def still(config: Config) -> Config:
    """Return the settings with clip.adaptation off, and say so where that is a change.

    For commands whose images are no stream: names would settle by the order of files.
    """
    if not config.clip.adapts:
        return config
    print('clip.adaptation is for streams: here names do not settle', file=sys.stderr)
    return replace(config, clip=replace(config.clip, adaptation='off'))
