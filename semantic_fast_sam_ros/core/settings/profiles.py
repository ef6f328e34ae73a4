"""Profiles: the ROS parameter files that ship in config/, and those of users."""

from collections.abc import Mapping
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.core.settings.yaml_files import read_yaml


def profiles() -> dict[str, Path]:
    """Return the shipped profiles by name."""
    return {path.stem: path for path in sorted(resource_folder('config').glob('*.yaml'))}


def profile_path(name: str) -> Path:
    """Return the file of a profile: a shipped name or a path.

    Raises:
        ConfigError: there is no such profile; the message lists the shipped ones.
    """
    path = Path(name).expanduser()
    if path.suffix in ('.yaml', '.yml'):
        return path
    if name not in profiles():
        raise ConfigError(f'unknown profile {name!r}{suggestion(name, profiles())}')
    return profiles()[name]


def load_profile(name: str, overrides: Mapping[str, object] | None = None) -> Config:
    """Read a profile, which is a ROS parameter file, and lay overrides on top."""
    return from_values(read_parameter_file(profile_path(name)) | dict(overrides or {}))


def read_parameter_file(path: Path) -> dict[str, object]:
    """Read the values of a ROS 2 parameter file, `/**: {ros__parameters: {...}}`, flattened."""
    content = read_yaml(path)
    values: dict[str, object] = {}
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: expected a ROS parameter file')
    for node, body in content.items():
        if not isinstance(body, dict) or not isinstance(body.get('ros__parameters'), dict):
            raise ConfigError(f'{path}: expected the key "ros__parameters" under {node!r}')
        values.update(_flatten_yaml(body['ros__parameters'], ''))
    return values


def _flatten_yaml(tree: Mapping[str, object], prefix: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in tree.items():
        name = f'{prefix}{key}'
        values.update(
            _flatten_yaml(value, f'{name}.') if isinstance(value, dict) else {name: value}
        )
    return values
