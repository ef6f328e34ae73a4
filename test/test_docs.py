"""The documentation site builds without a warning, and speaks of what there is."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from semantic_fast_sam_ros.__main__ import COMMANDS
from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings import profiles

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'semantic_fast_sam_ros'
PAGES = sorted((ROOT / 'docs').rglob('*.md'))
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(name='site', scope='module')
def _site(tmp_path_factory):
    if importlib.util.find_spec('mkdocs') is None:
        pytest.skip('mkdocs is missing (requirements/test.txt)')
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    assert 'WARNING' not in built.stderr
    return folder


@pytest.mark.slow
def test_every_page_of_the_navigation_is_built(site):
    for page in PAGES:
        assert (site / page.relative_to(ROOT / 'docs').with_suffix('.html')).is_file(), page


@pytest.mark.slow
def test_the_reference_has_every_setting_profile_and_command(site):
    settings = (site / 'parameters.html').read_text()
    assert all(f'<code>{s.name}</code>' in settings for s in configuration.settings())
    shown = (site / 'reference' / 'profiles.html').read_text()
    assert all(f'id="{name}"' in shown for name in profiles.profiles())
    commands = (site / 'reference' / 'commands.html').read_text()
    assert all(f'id="{name}"' in commands for name in COMMANDS)
    assert 'id="semanticfastsamfrom_profile"' in (site / 'reference' / 'python.html').read_text()


@pytest.mark.slow
def test_the_pages_load_nothing_from_elsewhere(site):
    asset = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"')
    for page in site.rglob('*.html'):
        foreign = [url for url in asset.findall(page.read_text()) if 'canonical' not in url]
        assert not foreign, f'{page.name}: {foreign}'


def test_commands_in_the_pages_exist():
    started = re.compile(r'python -m semantic_fast_sam_ros ([a-z][a-z0-9_-]*)')
    launched = re.compile(r'ros2 (?:launch|run) semantic_fast_sam_ros (\S+)')
    for page in PAGES:
        text = page.read_text(encoding='utf-8')
        for target in launched.findall(text):
            if target.endswith('.launch.py'):
                assert (ROOT / 'launch' / target).is_file(), f'{page.name}: {target}'
        for command in started.findall(text):
            assert command.replace('_', '-') in COMMANDS, f'{page.name}: {command}'


def test_settings_in_the_pages_exist():
    sections = {s.name.partition('.')[0] for s in configuration.settings() if '.' in s.name}
    names = {s.name for s in configuration.settings()}
    quoted = re.compile(rf'`((?:{"|".join(sorted(sections))})\.[a-z_]+)[:`]')
    found = {name for page in PAGES for name in quoted.findall(page.read_text(encoding='utf-8'))}
    assert found, 'no setting is named at all'
    assert found <= names | {'label_image.py'}, found - names


def test_messages_that_troubleshooting_quotes_are_said():
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8')
    headings = re.findall(r'^## .*"(.+)"', page, re.MULTILINE)
    items = re.findall(r'^- (\*.+?\*):', page, re.MULTILINE | re.DOTALL)
    quoted = [*headings, *re.findall(r'\*(.+?)\*', '\n'.join(items), re.DOTALL)]
    assert len(quoted) > 20
    of_others = ('no messages received', 'numpy.core.multiarray failed to import')
    said = '\n'.join(_literals())
    for message in quoted:
        # What a message names stands for itself in the page: half of the words in a row will do.
        for part in re.split(r'…|\bN\b|\d+ ', message):
            words = part.strip(' .,()').split()
            half = -(-len(words) // 2)
            runs = [' '.join(words[i : i + half]) for i in range(len(words) - half + 1)]
            assert any(run in said for run in runs) or message in of_others, message


def _literals():
    """Give all texts of the package, with an ellipsis for what is put into them."""
    for file in (ROOT / PACKAGE).rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else '…' for v in node.values)
                yield ' '.join(''.join(parts).split())
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield ' '.join(node.value.split())


def test_the_architecture_lists_each_module_once():
    listed, folders = [], []
    page = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
    for line in page.partition('```')[2].partition('```')[0].splitlines():
        name = line.split()[0] if line.strip() else ''
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [name]
        if name.endswith('.py'):
            listed.append(''.join(folders))
    modules = {
        str(p.relative_to(ROOT)) for p in (ROOT / PACKAGE).rglob('*.py') if p.name != '__init__.py'
    }
    assert sorted(listed) == sorted(modules)
