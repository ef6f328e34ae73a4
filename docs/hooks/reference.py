"""MkDocs hook: write the reference pages from the code, so that they cannot go out of date."""

import argparse
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import semantic_fast_sam_ros as package  # noqa: E402
from semantic_fast_sam_ros.__main__ import COMMANDS, help_line  # noqa: E402
from semantic_fast_sam_ros.core.settings.profiles import profiles as shipped_profiles  # noqa: E402


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    pages = {'profiles': profiles, 'commands': commands, 'python': python}
    for name, build in pages.items():
        text = '\n'.join(build()) + '\n'
        files.append(File.generated(config, f'reference/{name}.md', content=text))
    return files


def profiles() -> Iterator[str]:
    """Give what each profile sets."""
    yield '# Profiles\n\nShipped in `config/`. A profile is a ROS parameter file: copy one and'
    yield 'give its path instead of a name. What it leaves out has the default of the'
    yield '[settings](../parameters.md).'
    for name, path in shipped_profiles().items():
        lines = path.read_text(encoding='utf-8').splitlines()
        about = ' '.join(x.lstrip('# ') for x in lines if x.startswith('#'))
        yield f'\n## {name}\n\n{about}\n\n```yaml'
        tree = yaml.safe_load(path.read_text(encoding='utf-8'))
        body = next(iter(tree.values()))['ros__parameters']
        yield yaml.safe_dump(body, sort_keys=False).rstrip() + '\n```'


def commands() -> Iterator[str]:
    """Give the help of each command."""
    yield '# Commands\n\n`python -m semantic_fast_sam_ros COMMAND`, or `semantic_fast_sam COMMAND`'
    yield 'where the package is installed.'
    for name in COMMANDS:
        tool = importlib.import_module(f'semantic_fast_sam_ros.tools.{name.replace("-", "_")}')
        parser = argparse.ArgumentParser(
            prog=f'semantic_fast_sam {name}',
            formatter_class=lambda prog: argparse.HelpFormatter(prog, width=96),
        )
        tool.add_arguments(parser)
        yield f'\n## {name}\n\n{help_line(name)}\n\n```text\n{parser.format_help().rstrip()}\n```'


def python() -> Iterator[str]:
    """Give the public names: signature, documentation, methods and fields."""
    yield '# Python\n\n`from semantic_fast_sam_ros import ...`. These names are stable.'
    for name in package.__all__:
        found = getattr(package, name)
        yield f'\n## {name}\n\n```python\n{name}{_signature(found)}\n```\n\n{_text(found)}'
        for member, value in vars(found).items():
            shown = not member.startswith('_') or member == '__call__'
            function = value.__func__ if isinstance(value, classmethod) else value
            if shown and inspect.isfunction(function):
                yield f'\n### {name}.{member}\n\n```python\n{member}{_signature(function)}\n```'
                yield f'\n{_text(function)}'


def _signature(found: Any) -> str:
    try:
        return str(inspect.signature(found)).replace('semantic_fast_sam_ros.core.', '')
    except (TypeError, ValueError):
        return ''


def _text(found: Any) -> str:
    """Return the first sentence as text and the rest as it is laid out."""
    first, _, rest = (inspect.getdoc(found) or '').partition('\n')
    return f'{first}\n\n```text\n{rest.strip()}\n```' if rest.strip() else first
