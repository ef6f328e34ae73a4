"""Profiles: the ROS parameter files that ship in config/, and those of users."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.core.settings.yaml_files import read_yaml

NODE = 'semantic_fast_sam'
# Parameters that rclpy itself declares or reads.
FOREIGN = ('use_sim_time', 'start_type_description_service')
FOREIGN_PREFIXES = ('qos_overrides.', 'diagnostic_updater.', 'bond_')
Block: TypeAlias = Mapping[str, object]  # of a parameter file


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


def read_parameter_file(path: Path, node: str = '') -> dict[str, object]:
    """Read what a ROS 2 parameter file, `/**: {ros__parameters: {...}}`, sets for the node.

    Blocks of other nodes are passed over, and so are parameters that rclpy itself declares.

    Args:
        path: of the file.
        node: with its namespace, as `/robot/semantic_fast_sam`; empty: in any namespace.

    Returns:
        the values by setting name; later blocks go before earlier ones.

    Raises:
        ConfigError: the file is malformed, or has nothing for the node.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not content:
        raise ConfigError(f'{path}: expected a ROS parameter file')
    blocks = list(_blocks(path, content, ''))
    ours = [body for name, body in blocks if _is_for(name, node)]
    if not ours:
        names = ', '.join(name for name, _ in blocks)
        raise ConfigError(
            f'{path} sets nothing for {node or f"/{NODE}"}: its blocks are for {names}; '
            f'`/**` or `/**/{NODE}` is for the node in every namespace'
        )
    values = {name: value for body in ours for name, value in _flatten_yaml(body, '').items()}
    return {name: value for name, value in values.items() if not is_foreign(name)}


def is_foreign(name: str) -> bool:
    """Return whether rclpy itself, or a library that it loads, declares a parameter."""
    return name in FOREIGN or name.startswith(FOREIGN_PREFIXES)


def _blocks(path: Path, tree: Mapping[str, object], above: str) -> Iterator[tuple[str, Block]]:
    """Yield each node's full name and parameters; namespaces may be nested."""
    for key, body in tree.items():
        name = f'{above}/{str(key).strip("/")}'
        if not isinstance(body, dict) or not body:
            raise ConfigError(f'{path}: expected the key "ros__parameters" under {name!r}')
        if 'ros__parameters' not in body:
            yield from _blocks(path, body, name)
        elif isinstance(body['ros__parameters'], dict):
            yield name, body['ros__parameters']
        elif body['ros__parameters'] is not None:
            raise ConfigError(f'{path}: ros__parameters of {name!r} is no map')


def _is_for(pattern: str, node: str) -> bool:
    parts = pattern.strip('/').split('/')
    if not node:
        return parts[-1] in (NODE, '*', '**')
    return _matches(parts, node.strip('/').split('/'))


def _matches(pattern: list[str], name: list[str]) -> bool:
    """Match as rcl does: `*` is one part of a name, `**` any number."""
    if not pattern:
        return not name
    if pattern[0] == '**':
        return _matches(pattern[1:], name) or (bool(name) and _matches(pattern, name[1:]))
    return bool(name) and pattern[0] in ('*', name[0]) and _matches(pattern[1:], name[1:])


def _flatten_yaml(tree: Mapping[str, object], prefix: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in tree.items():
        name = f'{prefix}{key}'
        values.update(
            _flatten_yaml(value, f'{name}.') if isinstance(value, dict) else {name: value}
        )
    return values
