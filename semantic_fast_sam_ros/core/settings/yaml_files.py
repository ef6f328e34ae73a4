"""Read YAML files as settings need it: safely, bounded, with errors that name the file."""

from pathlib import Path
from typing import Any

import yaml

from semantic_fast_sam_ros.core.base.errors import ConfigError, reason_of
from semantic_fast_sam_ros.core.base.folders import looked_in

MAXIMUM_VALUES = 100_000  # of a YAML file, aliases written out


def read_yaml(path: Path) -> Any:
    """Load a YAML file safely.

    Raises:
        ConfigError: it does not exist, is not text, or is not YAML.
    """
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Return a file's text, UTF-8 with or without a mark; raises ConfigError if it has none."""
    try:
        return path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'cannot read {path}{looked_in(path)}: {reason_of(error)}') from error


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML text safely, naming its source in the error."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f'{source} is not valid YAML: {error}') from error
    if _exceeds(content, MAXIMUM_VALUES):
        raise ConfigError(f'{source}: more than {MAXIMUM_VALUES} values, aliases written out')
    return content


def _exceeds(content: Any, limit: int) -> bool:
    """Return whether there are more values than that; a few aliases can stand for billions."""
    waiting = [content]
    while waiting and limit >= 0:
        value, limit = waiting.pop(), limit - 1
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
    return limit < 0
