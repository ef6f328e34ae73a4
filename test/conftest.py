"""Keep tests out of the user's cache and DDS domain, and out of each other's; a browser."""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent

# Before any test imports a library that reads these; processes that tests start inherit them.
for name in ('HF_HUB_CACHE', 'YOLO_CONFIG_DIR', 'MPLCONFIGDIR'):
    os.environ.pop(name, None)
os.environ['OMP_NUM_THREADS'] = '1'  # tests run side by side
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
BORROWED = contextlib.ExitStack()
if 'PYTEST_XDIST_WORKER' not in os.environ:  # workers share the cache of the process above them
    made = tempfile.TemporaryDirectory(prefix='semantic_fast_sam_test_')
    os.environ['SEMANTIC_FAST_SAM_CACHE'] = BORROWED.enter_context(made)
# Of each worker its own, as tests put networks into it under the names of public ones.
hub = tempfile.TemporaryDirectory(prefix='semantic_fast_sam_hub_')
os.environ['HF_HOME'] = BORROWED.enter_context(hub)

TURNS = Path(os.environ['SEMANTIC_FAST_SAM_CACHE']) / 'turns'
MEETING = ('ros', 'reliability', 'viewer')  # folders whose tests meet over DDS
SLOW = (*MEETING, 'launch', 'benchmarks')  # and those that --quick leaves out


def pytest_configure(config: pytest.Config) -> None:
    """Take a DDS domain that neither the user nor another process of tests is in."""
    if config.getoption('dist', 'no') == 'no' and importlib.util.find_spec('domain_coordinator'):
        from domain_coordinator import domain_id

        users = int(os.environ.get('ROS_DOMAIN_ID') or 0)
        others = (number for number in range(1, 101) if number != users)
        domain = BORROWED.enter_context(domain_id(lambda: next(others)))
        os.environ['ROS_DOMAIN_ID'] = str(domain)


def pytest_unconfigure() -> None:
    """Give domain and cache back."""
    BORROWED.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder; begin with the slow files, end with those that run alone."""
    alone = {item.path for item in items if item.get_closest_marker('alone')}
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in SLOW and not item.get_closest_marker('quick'):
            item.add_marker('slow')
        if folder in MEETING:  # discovery fails once in a thousand; a second try is told as RERUN
            item.add_marker(pytest.mark.flaky(reruns=1))
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: (item.path in alone, item.path not in slow))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let tests that measure time wait until no other runs beside them."""
    alone = item.get_closest_marker('alone')
    with TURNS.open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        return (yield)


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
