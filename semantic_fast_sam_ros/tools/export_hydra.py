"""Write Hydra's label space (YAML) and colour table (CSV) from a vocabulary."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from semantic_fast_sam_ros.core.settings.vocabulary import UNLABELLED, Vocabulary
from semantic_fast_sam_ros.tools.export_options import (
    add_vocabulary_arguments,
    assign,
    chosen_vocabulary,
    command_line,
    write,
)

UNLABELLED_NAME = 'unlabelled'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_vocabulary_arguments(parser)
    parser.add_argument('--dynamic', default='', help='classes that move: `person, car`')
    parser.add_argument('--surfaces', default='', help='classes to stand or drive on')
    parser.add_argument('--invalid', default='', help='classes to leave out: `sky`')
    parser.add_argument(
        '--output', type=Path, default=Path('hydra'), help='folder (default: hydra)'
    )
    parser.add_argument('--name', default='semantic_fast_sam', help='beginning of the file names')


def run(arguments: argparse.Namespace) -> int:
    """Write both files; classes in no list are objects."""
    vocabulary = chosen_vocabulary(arguments)
    colours = colour_table(vocabulary)
    words = []
    for option in ('profile', 'vocabulary', 'groups', 'dynamic', 'surfaces', 'invalid'):
        value = getattr(arguments, option)
        words += [f'--{option}', value] if value else []
    comment = f'# Made by: {command_line("export-hydra", words)}\n---\n'
    space = yaml.safe_dump(
        label_space(vocabulary, arguments), sort_keys=False, default_flow_style=None, width=99
    )
    write(comment + space, arguments.output / f'{arguments.name}_label_space.yaml')
    write(colours, arguments.output / f'{arguments.name}_colors.csv')
    return 0


def label_space(vocabulary: Vocabulary, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the label space; id 0, unlabelled, is invalid."""
    wanted = {name: getattr(arguments, name) for name in ('dynamic', 'surfaces', 'invalid')}
    lists = assign(vocabulary, wanted, 'objects')
    ids = {c.name: c.id for c in vocabulary.classes}
    found = {name: [ids[member] for member in members] for name, members in lists.items()}
    names = {UNLABELLED: UNLABELLED_NAME, **{c.id: c.name for c in vocabulary.classes}}
    return {
        'total_semantic_labels': vocabulary.max_id + 1,
        'dynamic_labels': found['dynamic'],
        'invalid_labels': [UNLABELLED, *found['invalid']],
        'object_labels': found['objects'],
        'surface_places_labels': found['surfaces'],
        'label_names': [{'label': i, 'name': name} for i, name in sorted(names.items())],
    }


def colour_table(vocabulary: Vocabulary) -> str:
    """Return the CSV, in the columns that Hydra reads.

    Hydra maps colours back to ids, so a colour that two classes share (ADE20K's road and
    skyscraper) is changed by a shade for the second.
    """
    rows = [(UNLABELLED_NAME, (0, 0, 0), UNLABELLED)]
    rows += [(c.name, c.colour, c.id) for c in vocabulary.classes]
    taken: set[tuple[int, int, int]] = set()
    lines = ['name,red,green,blue,alpha,id']
    for name, (red, green, blue), class_id in rows:
        while (red, green, blue) in taken:
            blue = (blue + 1) % 256
        taken.add((red, green, blue))
        # Hydra splits lines at commas without regard to quotes.
        cells = [name.replace(',', ';'), red, green, blue, 255, class_id]
        lines.append(','.join(map(str, cells)))
    return '\n'.join(lines) + '\n'
