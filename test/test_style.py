"""Linting, formatting, types, docstrings, short functions."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'semantic_fast_sam_ros'
CHECKED = (PACKAGE, 'launch', 'models', 'scripts', 'test', 'setup.py')


def _run(tool: str, *arguments: str) -> None:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f'{tool} is missing (requirements/test.txt)')
    result = subprocess.run(
        [sys.executable, '-m', tool, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing():
    _run('ruff', 'check', *CHECKED)


def test_ruff_format_changes_nothing():
    _run('ruff', 'format', '--check', *CHECKED)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_core_is_strictly_typed():
    _run('mypy', '--strict', f'{PACKAGE}/core', 'scripts/environment.py')


@pytest.mark.parametrize('folder', ['core', 'ros', 'tools', 'viewer'])
def test_files_start_with_a_docstring_and_functions_are_short(folder):
    for source in sorted((ROOT / PACKAGE / folder).rglob('*.py')):
        tree = ast.parse(source.read_text(encoding='utf-8'))
        assert not tree.body or ast.get_docstring(tree), (
            f'{source.relative_to(ROOT)}: no docstring'
        )
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= 50, f'{source.relative_to(ROOT)}: {node.name} has {length} lines'


def test_modules_of_tests_have_names_of_their_own():
    """Without packages, pytest can import a name only once."""
    names = [path.name for path in (ROOT / 'test').rglob('test_*.py')]
    assert sorted(set(names)) == sorted(names)
