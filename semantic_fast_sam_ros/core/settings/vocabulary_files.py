"""Vocabularies as users write them: shipped names, YAML files, lists in one line, group maps."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import (
    SOURCES,
    SemanticClass,
    Vocabulary,
    apply_groups,
    colour_of,
)
from semantic_fast_sam_ros.core.settings.yaml_files import parse_yaml, read_text, read_yaml

YAML, LINES = ('.yaml', '.yml', '.json'), ('.txt', '.names')  # kinds of files
BRACKETS = ('[]', '{}', '()')
NO_NAME = ',:;{}[]='  # what stands in no name that is one of a list
CLOSE = 0.8  # similarity from which a name is taken for a shipped one, mistyped
CLASS_KEYS = (
    'name',
    'colour',
    'prompts',
    'minimum_confidence',
    'negative',
    'group',
    'source',
    'thing',
)


def parse_list(text: str) -> Vocabulary:
    """Read 'road, car | vehicle, dog': classes by comma, semicolon or line, prompts by bar.

    Brackets round the list and dashes before lines are allowed, as YAML and launch files write
    them.

    Raises:
        ConfigError: a name is empty, or holds what no name does.
    """
    body = text.strip()
    for brackets in BRACKETS:
        if body.startswith(brackets[0]) and body.endswith(brackets[1]):
            body = body[1:-1].strip()
    lines = [line.strip().removeprefix('- ') for line in body.splitlines() if line.strip()]
    one_break = re.sub(r'([,;|])\n', r'\1', '\n'.join(lines))  # a comma and a new line are one
    return _of_entries(re.split('[,;\n]', one_break), repr(text))


def load(path: Path) -> Vocabulary:
    """Read a vocabulary file: `classes: [{name: ..., colour: [r, g, b], ...}]`, or lines.

    A file of lines (.txt, .names) has a name in each, with further prompts after bars.

    Raises:
        ConfigError: the file is missing or malformed; the message names the file and entry.
    """
    if path.suffix.lower() in LINES:
        lines = (line.partition('#')[0].strip() for line in read_text(path).splitlines())
        return _of_entries([line for line in lines if line] or [''], str(path))
    return _of_content(read_yaml(path), str(path))


def resolve(text: str) -> Vocabulary:
    """Read a vocabulary setting: a name in config/vocabularies, a file, or a list.

    Raises:
        ConfigError: it is none of them; a name much like a shipped one is taken for a mistake.
    """
    text = text.strip()
    if text.startswith('classes:'):
        return _of_content(parse_yaml(text, 'vocabulary'), 'vocabulary')
    if re.fullmatch(r'[^,;|\n]+\.[A-Za-z]{2,5}', text):
        if Path(text).suffix.lower() not in (*YAML, *LINES):
            known = ', '.join((*YAML, *LINES))
            raise ConfigError(f'vocabulary {text!r}: files of names are {known}')
        return load(Path(text).expanduser())
    shipped = _shipped(text) if re.fullmatch(r'[\w -]+', text) else None
    return load(shipped) if shipped else parse_list(text)


def _shipped(text: str) -> Path | None:
    """Return the shipped vocabulary of a name, whatever its case; None if it is no such name."""
    folder = resource_folder('config') / 'vocabularies'
    known = {path.stem: path for path in folder.glob('*.yaml')}
    name = re.sub('[ -]', '_', text.lower())
    if name in known:
        return known[name]
    if close := difflib.get_close_matches(name, known, n=1, cutoff=CLOSE):
        raise ConfigError(
            f'vocabulary {text!r}: did you mean {close[0]!r}, which ships? For one class of that '
            f'name write `[{text}]`'
        )
    return None


def _of_entries(entries: Sequence[str], source: str) -> Vocabulary:
    classes = []
    for index, entry in enumerate(entries, start=1):
        names = [name.strip().strip('\'"').strip() for name in entry.split('|')]
        if not all(names):
            raise ConfigError(f'vocabulary entry {index} of {source} has an empty name')
        if wrong := set(entry) & set(NO_NAME):
            raise ConfigError(
                f'vocabulary entry {index} of {source}, {entry.strip()!r}, has {min(wrong)!r} in '
                'it: write `road, car | vehicle`, or name a file'
            )
        prompts = tuple(names) if len(names) > 1 else ()
        classes.append(SemanticClass(index, names[0], colour_of(index), prompts))
    return Vocabulary(tuple(classes))


def _of_content(content: object, source: str) -> Vocabulary:
    entries = content.get('classes') if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f'{source}: expected a list under the key "classes"')
    vocabulary = Vocabulary(
        tuple(_read_class(source, index, entry) for index, entry in enumerate(entries, start=1))
    )
    groups: dict[str, list[str]] = {}
    for c, entry in zip(vocabulary.classes, entries, strict=True):
        if isinstance(entry, dict) and entry.get('group'):
            groups.setdefault(str(entry['group']), []).append(c.name)
    return apply_groups(vocabulary, groups) if groups else vocabulary


def requested(config: Config) -> Vocabulary | None:
    """Return the vocabulary that the settings ask for; None where they leave it to the model.

    Raises:
        ConfigError: the file or list is malformed, or repeats a name.
    """
    if config.vocabulary_file.strip():
        return load(Path(config.vocabulary_file.strip()).expanduser())
    return resolve(config.vocabulary) if config.vocabulary.strip() else None


def required(config: Config) -> Vocabulary:
    """Return the vocabulary that the settings ask for.

    Raises:
        ConfigError: as `requested`, or there is none, or it has only negatives.
    """
    found = requested(config)
    if found is None:
        raise ConfigError(
            'an open-vocabulary labeller needs names to look for: set vocabulary, such as '
            '`road, car | vehicle, person`'
        )
    if all(c.negative for c in found.classes):
        raise ConfigError('the vocabulary has only negatives: name at least one class to label')
    if config.groups.strip():
        found = apply_groups(found, read_groups(config.groups))
    return found


def read_groups(text: str) -> dict[str, list[str]]:
    """Read a group map setting: a YAML file, or YAML text such as '{drivable: [road]}'."""
    if text.strip().endswith(('.yaml', '.yml')):
        content = read_yaml(Path(text.strip()).expanduser())
    else:
        content = parse_yaml(text, 'groups')
    if not isinstance(content, dict) or not content:
        raise ConfigError(f'groups must be a map {{published name: [class, ...]}}, not {text!r}')
    groups = {}
    for name, members in content.items():
        members = [members] if isinstance(members, str) else members
        if not isinstance(members, list) or not all(isinstance(m, str) for m in members):
            raise ConfigError(f'group {name!r} must list class names, not {members!r}')
        groups[str(name)] = members
    return groups


def _read_class(path: str, index: int, entry: object) -> SemanticClass:
    where = f'{path}, class {index}'
    if isinstance(entry, str):
        entry = {'name': entry}
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get('name'), str)
        or not entry['name'].strip()
    ):
        raise ConfigError(f'{where}: expected a name or a map with the key "name", not {entry!r}')
    for key in entry:
        if key not in CLASS_KEYS:
            raise ConfigError(f'{where}: unknown key {key!r}{suggestion(str(key), CLASS_KEYS)}')
    colour = entry.get('colour', colour_of(index))
    if not _is_colour(colour):
        raise ConfigError(f'{where}: colour must be three numbers 0-255, not {colour!r}')
    prompts = entry.get('prompts', [])
    if not isinstance(prompts, list) or not all(isinstance(p, str) and p.strip() for p in prompts):
        raise ConfigError(f'{where}: prompts must be a list of names, not {prompts!r}')
    minimum = entry.get('minimum_confidence', 0.0)
    if isinstance(minimum, bool) or not isinstance(minimum, int | float) or not 0 <= minimum <= 1:
        raise ConfigError(f'{where}: minimum_confidence must lie in 0-1, not {minimum!r}')
    source = entry.get('source', '')
    if source not in ('', *SOURCES):
        raise ConfigError(f'{where}: source must be {" or ".join(SOURCES)}, not {source!r}')
    return SemanticClass(
        index,
        entry['name'].strip(),
        (int(colour[0]), int(colour[1]), int(colour[2])),
        tuple(prompts),
        float(minimum),
        _truth(where, entry, 'negative') or False,
        source=source,
        thing=_truth(where, entry, 'thing'),
    )


def _truth(where: str, entry: dict[str, object], key: str) -> bool | None:
    value = entry.get(key)
    if key in entry and not isinstance(value, bool):
        raise ConfigError(f'{where}: {key} must be true or false, not {value!r}')
    return bool(value) if key in entry else None


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(isinstance(v, int) and 0 <= v <= 255 for v in value)
    )
