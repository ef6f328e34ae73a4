"""What a score depends on, as a key: a kept score is never that of other inputs."""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from semantic_fast_sam_ros.core import loading
from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.networks.model_files import Model, models_of, transformers_model
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import read_groups, requested, resolve
from semantic_fast_sam_ros.evaluation.rows import Row, labeller_config

SEEN = 'input.mono16'  # the one of input.* that changes labels
# Settings that change no label.
IRRELEVANT = ('output.', 'cloud.', 'autostart', 'offline', 'trust_model_files')
LIBRARIES = ('torch', 'ultralytics', 'transformers', 'open_clip_torch', 'openvino', 'numpy')
CODE = ('core', 'evaluation')  # folders of this package that decide what a score is
LENGTH = 16  # hexadecimal digits of a key


def key(content: object) -> str:
    """Return a short key of plain values."""
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:LENGTH]


def of_files(*files: Path) -> str:
    """Return a key of the content of files; one that is missing counts as such."""
    return key([hashlib.sha256(f.read_bytes()).hexdigest() if f.is_file() else '' for f in files])


def row_config(config: Config, row: Row, classes: Vocabulary) -> Config:
    """Return the settings that a row's networks are loaded by."""
    changes: dict[str, object] = {'labeller': 'closed_set'}
    if row.labels not in ('vote', 'truth'):
        changes = labeller_config(row, classes)
    return configuration.from_values(configuration.flatten(config) | changes)


def of_labeller(config: Config, sam: str = '') -> list[object]:
    """Return what the labels of a configuration depend on beside the image.

    Args:
        config: of the row.
        sam: the SAM that proposes masks instead of `masks.model`, if there is one.
    """
    models = [*models_of(config), *([transformers_model(sam)] if sam else [])]
    values = configuration.flatten(config)
    return [
        {name: value for name, value in values.items() if _matters(name)},
        repr(requested(config)),  # what their files hold
        repr(resolve(config.dense.classes)) if config.dense.classes.strip() else '',
        read_groups(config.groups) if config.groups.strip() else {},
        {model.name: _checksums(model, config) for model in models},
        str(choose_runtime(config).device),
        code(),
    ]


@cache
def code() -> str:
    """Return a key of this package's code and of the libraries that compute."""
    package = Path(__file__).resolve().parents[1]
    sources = (f for folder in CODE for f in sorted((package / folder).rglob('*.py')))
    return key([of_files(*sources), *_versions(LIBRARIES)])


def chained(keys: Iterable[tuple[str, str]]) -> list[str]:
    """Return keys that hold all before them, anew for each sequence: (sequence, key) of images."""
    found: list[str] = []
    sequence, before = None, ''
    for name, own in keys:
        before = key([before if name and name == sequence else '', own])
        sequence = name
        found.append(before)
    return found


def _matters(name: str) -> bool:
    return name == SEEN or not name.startswith(('input.', *IRRELEVANT))


def _checksums(model: Model, config: Config) -> object:
    try:
        return loading.checksums_of(model, loading.policy_of(config))
    except (SemanticFastSamError, ModuleNotFoundError):
        return None  # whoever needs the model says what is missing


def _versions(names: Iterable[str]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(f'{name} {importlib.metadata.version(name)}')
        except importlib.metadata.PackageNotFoundError:
            found.append(f'{name} absent')
    return found
