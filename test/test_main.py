"""The command dispatcher: help without imports, one sentence for what is wrong."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from semantic_fast_sam_ros import __main__ as dispatcher
from semantic_fast_sam_ros.core.base.errors import ConfigError


@pytest.fixture(name='tool')
def _tool(monkeypatch) -> SimpleNamespace:
    """Return a tool that takes the place of doctor's module."""
    tool = SimpleNamespace(add_arguments=lambda parser: parser.add_argument('--n', type=int))
    tool.run = lambda arguments: arguments.n
    monkeypatch.setattr(dispatcher.importlib, 'import_module', lambda name: tool)
    return tool


def test_help_lists_every_command_with_its_line(capsys):
    assert dispatcher.main(['--help']) == 0
    text = capsys.readouterr().out
    for command in dispatcher.COMMANDS:
        assert f'  {command} ' in text
        assert dispatcher.help_line(command) in text
    assert 'missing from this installation' not in text
    assert 'semantic_fast_sam_node --ros-args' in text


def test_help_imports_no_heavy_library():
    asked = (
        'import sys; from semantic_fast_sam_ros.__main__ import main; main(["--help"]); '
        'assert not {"torch", "rclpy", "cv2", "ultralytics"} & set(sys.modules), "heavy"'
    )
    subprocess.run([sys.executable, '-c', asked], check=True, stdout=subprocess.DEVNULL)


def test_no_command_shows_the_help_and_fails(capsys):
    assert dispatcher.main([]) == 2
    assert 'usage:' in capsys.readouterr().out


def test_close_match_is_suggested(capsys):
    assert dispatcher.main(['docter']) == 2
    assert "did you mean 'doctor'?" in capsys.readouterr().err


def test_exit_code_is_the_tools(tool):
    assert dispatcher.main(['doctor', '--n', '3']) == 3


def test_known_error_becomes_one_sentence(tool, capsys):
    def fail(arguments):
        raise ConfigError('unknown profile')

    tool.run = fail
    assert dispatcher.main(['doctor']) == 1
    assert capsys.readouterr().err == 'semantic_fast_sam doctor: unknown profile\n'


def test_a_file_that_cannot_be_written_becomes_one_sentence(tool, capsys, tmp_path):
    tool.run = lambda arguments: (tmp_path / 'no' / 'folder').mkdir()
    assert dispatcher.main(['doctor']) == 1
    told = capsys.readouterr().err
    assert told == f'semantic_fast_sam doctor: {tmp_path}/no/folder: No such file or directory\n'


@pytest.mark.parametrize(
    ('module', 'advice'), [('rosbags.highlevel', 'scripts/setup'), ('rclpy', 'scripts/env.sh')]
)
def test_missing_optional_dependency_becomes_one_sentence(tool, capsys, module, advice):
    def fail(arguments):
        raise ModuleNotFoundError(name=module)

    tool.run = fail
    assert dispatcher.main(['doctor']) == 1
    text = capsys.readouterr().err
    assert repr(module.partition('.')[0]) in text
    assert advice in text
    assert len(text.splitlines()) == 1


def test_missing_module_of_our_own_is_not_hidden(tool):
    def fail(arguments):
        raise ModuleNotFoundError(name='semantic_fast_sam_ros.core.nothing')

    tool.run = fail
    with pytest.raises(ModuleNotFoundError):
        dispatcher.main(['doctor'])
