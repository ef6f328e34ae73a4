"""What the exporters share: which vocabulary, which of its classes, where to write."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import ConfigError, SemanticFastSamError, suggestion
from semantic_fast_sam_ros.core.settings import profiles, vocabulary_files
from semantic_fast_sam_ros.core.settings import vocabulary as vocabularies
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import requested


def add_vocabulary_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the classes to export."""
    parser.add_argument('--profile', default='embedded', help='profile (default: embedded)')
    parser.add_argument('--vocabulary', default='', help="instead of the profile's")
    parser.add_argument('--groups', default='', help="group map instead of the profile's")


def chosen_vocabulary(arguments: argparse.Namespace) -> Vocabulary:
    """Return the classes that a node with these settings publishes, with their ids.

    Raises:
        ConfigError: the settings leave the names to the model, or are wrong.
    """
    given = {k: v for k in ('vocabulary', 'groups') if (v := getattr(arguments, k))}
    config = profiles.load_profile(arguments.profile, given)
    vocabulary = requested(config)
    if vocabulary is None:
        raise ConfigError(
            f'profile {arguments.profile!r} leaves the names to the model: give --vocabulary'
        )
    if config.groups.strip():
        groups = vocabulary_files.read_groups(config.groups)
        return vocabularies.apply_groups(vocabulary, groups)
    return vocabulary


def assign(vocabulary: Vocabulary, wanted: Mapping[str, str], rest: str) -> dict[str, list[str]]:
    """Distribute the classes over named lists, each to one; what nobody names goes to `rest`.

    Args:
        vocabulary: of the node.
        wanted: list name -> `road, sidewalk`, as an option has it.
        rest: list of the other classes.

    Raises:
        ConfigError: a name is not in the vocabulary, or stands in two lists.
    """
    place: dict[str, str] = {}
    for list_name, text in wanted.items():
        for name in (part.strip() for part in text.split(',') if part.strip()):
            found = vocabulary.find(name)
            if found is None:
                hint = suggestion(name, vocabulary.names)
                raise ConfigError(f'--{list_name}: no class {name!r}{hint}')
            if place.get(found.name, list_name) != list_name:
                raise ConfigError(f'{name!r} stands in --{place[found.name]} and --{list_name}')
            place[found.name] = list_name
    lists: dict[str, list[str]] = {name: [] for name in (*wanted, rest)}
    for name in vocabulary.names:
        lists[place.get(name, rest)].append(name)
    return lists


def command_line(command: str, words: Sequence[str]) -> str:
    """Return the command that makes a file, for its first line."""
    quoted = [f"'{w}'" if any(c in w for c in ' ,|{}[]') else w for w in words]
    return ' '.join(['python -m semantic_fast_sam_ros', command, *quoted])


def write(text: str, path: Path | None) -> None:
    """Write to a file, or to the terminal without one.

    Raises:
        SemanticFastSamError: the file cannot be written.
    """
    if path is None:
        sys.stdout.write(text)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise SemanticFastSamError(f'cannot write {path}: {error.strerror}') from error
    print(f'{path} written')
