"""Write docs/parameters.md, the table of all settings, from where they are declared."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings.setting import Setting

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'parameters.md'
COMMAND = 'python -m semantic_fast_sam_ros.tools.parameter_docs'
TYPES = {bool: 'bool', int: 'integer', float: 'double', str: 'string'}
INTRODUCTION = f"""# Parameters

<!-- Written by `{COMMAND}`: change the settings in core/, not this file. -->

The parameters of the node, which are also the keys of a profile in `config/`. `ros2 param describe
/semantic_fast_sam NAME` says the same. Those marked *live* can be set while the node runs and take
effect on the next image; the others are refused while models are loaded: deactivate and clean up
the node, set them, configure again. An integer is accepted where a double is expected. A wrong
value or an unknown name at start leaves the node alive and fails `configure` with the reason.
"""
HEAD = '| parameter | type | default | allowed | live | meaning |\n|---|---|---|---|---|---|'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument('--output', type=Path, default=PAGE, help=f'file to write ({PAGE.name})')
    parser.add_argument(
        '--check', action='store_true', help='write nothing; exit 1 if the file is not current'
    )


def run(arguments: argparse.Namespace) -> int:
    """Write or check the page."""
    page: Path = arguments.output
    if not arguments.check:
        page.write_text(document(), encoding='utf-8')
        return 0
    if page.is_file() and page.read_text(encoding='utf-8') == document():
        return 0
    print(f'{page} is not current: run `{COMMAND}`', file=sys.stderr)
    return 1


def document() -> str:
    """Return the page."""
    return '\n'.join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    by_section: dict[str, list[Setting]] = {}
    for setting in configuration.settings():
        by_section.setdefault(setting.name.rpartition('.')[0], []).append(setting)
    for name, members in by_section.items():
        rows = '\n'.join(map(row, members))
        yield f'## {name or "General"}\n\n{HEAD}\n{rows}\n'


def row(setting: Setting) -> str:
    """Return the line of a setting."""
    cells = (
        f'`{setting.name}`',
        TYPES[setting.kind],
        default(setting),
        allowed(setting),
        'live' if setting.live else '',
        setting.help,
    )
    return f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in cells)} |'


def default(setting: Setting) -> str:
    """Return the default as a parameter file writes it."""
    if isinstance(setting.default, bool):
        return f'`{str(setting.default).lower()}`'
    return f'`{setting.default}`' if setting.default != '' else "`''`"


def allowed(setting: Setting) -> str:
    """Return the choices or the range; empty where every value of the type is allowed."""
    if setting.choices:
        return ', '.join(f'`{choice}`' for choice in setting.choices)
    low, high = setting.minimum, setting.maximum
    if low is None and high is None:
        return ''
    if high is None:
        return f'at least {low:.12g}'
    return f'at most {high:.12g}' if low is None else f'{low:.12g} to {high:.12g}'


if __name__ == '__main__':
    command = argparse.ArgumentParser(description=__doc__)
    add_arguments(command)
    sys.exit(run(command.parse_args()))
