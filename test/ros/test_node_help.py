"""What the executables say of themselves, at once: no library is loaded for it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from semantic_fast_sam_ros.core.settings.profiles import profiles
from semantic_fast_sam_ros.ros import process
from semantic_fast_sam_ros.ros.arguments import own_words

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ('torch', 'rclpy', 'ultralytics', 'transformers', 'numba')
# Its exit is caught to see what was imported; `end_process` would not let it be.
ASK = """
import os, sys
def told(code):
    print('HEAVY', sorted({heavy!r} & set(sys.modules)), code)
    sys.stdout.flush()
    kill(code)
kill, os._exit = os._exit, told
sys.argv = ['program', *{words!r}]
from {module} import {function}
try:
    code = {function}()
except SystemExit as ended:
    code = ended.code
told(code or 0)
"""


def executables() -> dict[str, str]:
    """Return module:function by the name of the executable, as setup.py has them."""
    tree = ast.parse((ROOT / 'setup.py').read_text())
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    pairs = [t.split(' = ') for t in texts if isinstance(t, str) and ' = ' in t]
    return dict(pairs)


def asked(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    module, function = executables()[name].split(':')
    code = ASK.format(heavy={*HEAVY}, words=words, module=module, function=function)
    command = [sys.executable, '-c', code]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize('word', ['--help', '-h'])
@pytest.mark.parametrize('name', executables())
def test_help_is_printed_without_a_library_and_the_process_ends(name: str, word: str) -> None:
    done = asked(name, word)
    assert done.returncode == 0, done.stderr
    assert 'usage: ' in done.stdout
    assert done.stdout.endswith('HEAVY [] 0\n')
    assert not done.stderr


def test_the_nodes_help_names_profiles_parameters_and_documentation() -> None:
    told = process.help_text()
    assert all(name in told for name in profiles())
    assert all(
        part in told for part in ('--ros-args', '--params-file', 'docs/index.md', 'ros2 launch')
    )
    assert max(map(len, told.replace(str(ROOT), '').splitlines())) < 100


def test_help_among_ros_arguments_is_ros_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, 'interrupt_once', lambda: None)
    monkeypatch.setattr(process, 'run', lambda: 7)
    ran: list[int] = []
    monkeypatch.setattr(process, 'end_process', ran.append)
    monkeypatch.setattr(sys, 'argv', ['node', '--ros-args', '-p', 'vocabulary:=--help'])
    process.main()
    assert ran == [7]


def test_parameters_without_ros_args_are_refused_with_the_word_that_lacks() -> None:
    done = asked('semantic_fast_sam_node', '--params-file', 'mine.yaml')
    assert done.returncode == 2
    assert done.stderr == (
        "semantic_fast_sam_node: '--params-file' is not known here: parameters and remappings "
        'follow after --ros-args (`semantic_fast_sam_node --help`)\n'
    )


@pytest.mark.parametrize(
    ('line', 'own'),
    [
        ('a --ros-args -p x:=1 -- b -- c', 'a b -- c'),
        ('a --ros-args -p x:=1 --ros-args -r y:=z', 'a'),
        ('-- b', '-- b'),
        ('', ''),
    ],
)
def test_words_are_divided_as_rclpy_divides_them(line: str, own: str) -> None:
    assert own_words(line.split()) == own.split()
    utilities = pytest.importorskip('rclpy.utilities', reason='rclpy is missing: source a ROS 2')
    assert utilities.remove_ros_args(['program', *line.split()])[1:] == own.split()
