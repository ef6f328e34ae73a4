"""The scripts that set the environment up, without setting one up."""

import os
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [*(ROOT / 'scripts' / name for name in ('setup', 'demo', 'test')), ROOT / '.ci' / 'run']
BASH = '/bin/bash'


@pytest.fixture(name='environment')
def _environment(tmp_path) -> SimpleNamespace:
    """Return scripts/environment.py as a module that works on an empty checkout."""
    module = runpy.run_path(str(ROOT / 'scripts' / 'environment.py'))
    paths = module['main'].__globals__
    venv = tmp_path / '.venv'
    paths.update(ROOT=tmp_path, VENV=venv, PYTHON=venv / 'bin' / 'python', LOG=venv / 'setup.log')
    paths.update(DONE=venv / 'setup.json', INSTALLING=venv / 'setup.installing')
    (tmp_path / 'wanted.txt').write_text('one')
    paths['PYTHON'].parent.mkdir(parents=True)
    # A stand-in that starts; the real interpreter is never run here.
    paths['PYTHON'].write_text('#!/bin/sh\nexit 0\n')
    paths['PYTHON'].chmod(0o755)
    return SimpleNamespace(**paths, globals=paths)


def _step(environment, run):
    return environment.Step('step', 'a step', ('wanted.txt',), run)


def _python(folder: Path, name: str, answer: str) -> None:
    """Write an interpreter that gives a fixed answer to the check of scripts/setup."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{answer}"\n')
    path.chmod(0o755)


def _checkout(folder: Path) -> Path:
    """Return a checkout that has only scripts/, and no .venv."""
    (folder / 'scripts').mkdir()
    for name in ('setup', 'environment.py'):
        target = folder / 'scripts' / name
        target.write_bytes((ROOT / 'scripts' / name).read_bytes())
        target.chmod(0o755)
    return folder


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_script_is_executable_and_parses(script):
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith('#!/usr/bin/env bash\n')
    subprocess.run([BASH, '-n', script], check=True)


def test_unsupported_python_gives_one_sentence(tmp_path):
    checkout = _checkout(tmp_path)
    _python(tmp_path, 'old_python', 'is CPython 3.8.10')
    result = subprocess.run(
        [BASH, checkout / 'scripts' / 'setup'],
        env={'PATH': '/usr/bin:/bin', 'PYTHON': str(tmp_path / 'old_python')},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ''
    assert 'needs CPython 3.10 to 3.14' in result.stderr
    assert 'old_python is CPython 3.8.10' in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (checkout / '.venv').exists()


def test_missing_compiler_gives_one_sentence(environment, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.delenv('CXX', raising=False)
    step = _step(environment, environment.build_interfaces)
    environment.globals['STEPS'] = [step]
    monkeypatch.setattr('sys.argv', ['setup'])
    assert environment.main() == 1
    assert capsys.readouterr().err.splitlines() == [
        'scripts/setup: no C++ compiler found: install g++ (Debian, Ubuntu: apt install g++)'
    ]


def test_step_is_done_once_and_again_when_its_input_changes(environment, tmp_path):
    runs = []
    step = _step(environment, lambda: runs.append(1))
    environment.complete([step])
    environment.complete([step])
    assert len(runs) == 1
    (tmp_path / 'wanted.txt').write_text('two')
    assert environment.pending([step]) == [step]
    environment.complete([step])
    assert len(runs) == 2


def test_failed_step_is_done_again(environment):
    def fail() -> None:
        raise environment.SetupError('no network')

    step = _step(environment, fail)
    with pytest.raises(environment.SetupError, match='no network'):
        environment.complete([step])
    assert environment.pending([step]) == [step]


def test_moved_checkout_is_set_up_again(environment):
    step = _step(environment, lambda: None)
    environment.complete([step])
    environment.DONE.write_text(environment.DONE.read_text().replace(str(environment.ROOT), '/x'))
    assert environment.pending([step]) == [step]


def test_killed_installation_starts_from_an_empty_folder(environment):
    step = _step(environment, lambda: None)
    environment.complete([step])
    environment.INSTALLING.touch()  # what a killed pip leaves behind
    made = []

    environment.globals['_run'] = lambda *command: made.append(command)
    leftover = environment.VENV / 'half_installed'
    leftover.touch()
    environment.complete([step])
    assert not leftover.exists()
    assert made and made[0][1:3] == ('-m', 'venv')
    assert not environment.INSTALLING.exists()


def test_failing_command_shows_the_end_of_the_log(environment):
    environment.LOG.write_text('')
    with pytest.raises(environment.SetupError, match='the reason') as raised:
        environment._run('/bin/sh', '-c', 'seq 100; echo the reason >&2; exit 3')
    assert len(str(raised.value).splitlines()) < 20


def test_sourced_environment_names_this_checkout_only():
    asked = (
        'source scripts/env.sh; echo "$AMENT_PREFIX_PATH|$PYTHONPATH|$RMW_IMPLEMENTATION|'
        '$FASTRTPS_DEFAULT_PROFILES_FILE|${PATH%%:*}|${LD_LIBRARY_PATH%%:*}"'
    )
    result = subprocess.run(
        [BASH, '-euc', asked.replace('$PYTHONPATH', '${PYTHONPATH-}')],
        cwd=ROOT,
        env={'PATH': '/usr/bin:/bin', 'AMENT_PREFIX_PATH': '/opt/ros/humble', 'PYTHONPATH': '/x'},
        capture_output=True,
        text=True,
        check=True,
    )
    venv = ROOT / '.venv'
    profile = ROOT / 'config' / 'fastdds_shared_memory.xml'
    fields = [venv, '', 'rmw_fastrtps_cpp', profile, venv / 'bin', venv / 'lib']
    assert result.stdout.strip().split('|') == [str(field) for field in fields]
    assert profile.is_file()


@pytest.mark.parametrize('quick', [True, False], ids=['quick', 'all'])
def test_the_test_script_chooses_by_its_option_and_passes_the_rest_on(tmp_path, quick):
    (tmp_path / 'scripts').mkdir()
    (tmp_path / '.venv' / 'bin').mkdir(parents=True)
    (tmp_path / 'scripts' / 'env.sh').touch()
    for file, answer in {'scripts/setup': '', '.venv/bin/python': 'printf "%s\\n" "$@"'}.items():
        (tmp_path / file).write_text(f'#!/bin/sh\n{answer}\n')
        (tmp_path / file).chmod(0o755)
    script = tmp_path / 'scripts' / 'test'
    script.write_bytes((ROOT / 'scripts' / 'test').read_bytes())
    words = ['-k', 'a or b', *(['--quick'] if quick else []), 'test/core']
    done = subprocess.run([BASH, script, *words], capture_output=True, text=True, check=True)
    given = done.stdout.splitlines()
    assert given[-3:] == ['-k', 'a or b', 'test/core']
    assert ('not slow' in given) == ('randomly' in given) == quick
    assert '--quick' not in given
