"""What a run depended on, written down: settings, models by checksum, versions, input."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.writer import write_whole
from semantic_fast_sam_ros.core.base.errors import ConfigError, reason_of
from semantic_fast_sam_ros.core.loading import model_checksums
from semantic_fast_sam_ros.core.settings.config import Config, flatten

FILE = 'label_run.json'
# What may differ when a run goes on: none of it changes what a label means.
FREE_SETTINGS = ('threads', 'autostart', 'offline', 'trust_model_files')


def describe(source: Path, cameras: list[str], job: Job, config: Config) -> dict[str, Any]:
    """Return what the labels of a run depend on.

    Raises:
        ModelError: a model is not here.
    """
    return {
        'input': source.resolve().name,
        'cameras': cameras,
        'job': json.loads(json.dumps(asdict(job))),
        'settings': flatten(config),
        'models': model_checksums(config),
    }


def check_same(folder: Path, now: dict[str, Any]) -> None:
    """Compare a run that is to go on with what it began as.

    Raises:
        ConfigError: something differs that the labels depend on, or the folder holds no run.
    """
    before = read(folder)
    ways = [f'{key}: {a!r} before, {b!r} now' for key, a, b in _differences(before, now)]
    if ways:
        raise ConfigError(f'{folder} was begun with other settings; {"; ".join(ways[:5])}')


def read(folder: Path) -> dict[str, Any]:
    """Return what a run was begun with; raises ConfigError if the folder holds none."""
    try:
        content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f'{folder} holds no run to resume: {FILE}: {reason_of(error)}'
        ) from error
    return content


def write(folder: Path, run: dict[str, Any]) -> None:
    """Write what a run begins with."""
    write_whole(folder / FILE, json.dumps(run, indent=1))


def _differences(before: Any, now: Any, path: str = '') -> list[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for key in sorted({*before, *now}):
            if path != 'settings' or key not in FREE_SETTINGS:
                found += _differences(before.get(key), now.get(key), str(key))
        return found
    return [] if before == now else [(path, before, now)]
