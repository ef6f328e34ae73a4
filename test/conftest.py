"""Let all tests import the checkout and `tiny`; keep them out of the user's cache; a browser."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# Before any test imports a library that reads these; processes that tests start inherit them.
CACHE = tempfile.TemporaryDirectory(prefix='semantic_fast_sam_test_')
os.environ['SEMANTIC_FAST_SAM_CACHE'] = CACHE.name
for name in ('HF_HOME', 'YOLO_CONFIG_DIR', 'MPLCONFIGDIR'):
    os.environ.pop(name, None)


TYPE_CHECK = pytest.StashKey[subprocess.Popen[str]]()
CHECKED = ('semantic_fast_sam_ros/core', 'scripts/environment.py')


MEETING = ('ros', 'reliability', 'viewer')  # folders whose tests meet over DDS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests over DDS a second try, told as RERUN: discovery fails once in a thousand."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] in MEETING:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the type checker, which takes a minute, beside the first tests."""
    wanted = any('type_check' in getattr(item, 'fixturenames', ()) for item in session.items)
    if wanted and not session.config.option.collectonly and importlib.util.find_spec('mypy'):
        session.config.stash[TYPE_CHECK] = subprocess.Popen(
            [sys.executable, '-m', 'mypy', '--strict', *CHECKED],
            cwd=HERE.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def type_check(request: pytest.FixtureRequest) -> 'subprocess.Popen[str]':
    """Give the type checker of `core/`, running or done."""
    if TYPE_CHECK not in request.config.stash:
        pytest.skip('mypy is missing (requirements/test.txt)')
    return request.config.stash[TYPE_CHECK]


def pytest_sessionfinish() -> None:
    """Remove the cache."""
    CACHE.cleanup()


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    """Give Debian's chromium, driven by Playwright."""
    playwright = pytest.importorskip(
        'playwright.sync_api', reason='playwright is missing (requirements/test.txt)'
    )
    names = ('chromium', 'chromium-browser', 'google-chrome')
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip('no chromium on this machine (Debian, Ubuntu: apt install chromium)')
    # Chromium's sandbox refuses to run for root, which containers usually are.
    flags = ['--no-sandbox'] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=flags)
        yield opened
        opened.close()
