"""Demos that run at once have a namespace and a folder each."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.tools.demo_place import own_folder, own_namespace


@pytest.fixture(autouse=True)
def _place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, in a domain that nobody is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('ROS_DOMAIN_ID', uuid.uuid4().hex)  # only a word to tell demos by


def free(namespace: str) -> bool:
    return False


def test_demos_at_once_have_a_namespace_each_and_the_first_again_after_them() -> None:
    with own_namespace(free) as first, own_namespace(free) as second:
        with own_namespace(free) as third:
            assert (first, second, third) == ('', '/demo_2', '/demo_3')
        with own_namespace(free) as again:
            assert again == '/demo_3'
    with own_namespace(free) as last:
        assert last == ''


def test_demos_in_other_domains_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_namespace(free):
        monkeypatch.setenv('ROS_DOMAIN_ID', uuid.uuid4().hex)
        with own_namespace(free) as other:
            assert other == ''


def test_a_node_that_is_no_demos_has_its_namespace_to_itself() -> None:
    with own_namespace(lambda namespace: namespace == '') as namespace:
        assert namespace == '/demo_2'


def test_more_demos_than_are_counted_are_refused() -> None:
    with (
        pytest.raises(SemanticFastSamError, match='100 demos run in ROS_DOMAIN_ID'),
        own_namespace(lambda namespace: True),
    ):
        pass


def test_demos_at_once_write_into_a_folder_each() -> None:
    with own_folder(None) as first, own_folder(None) as second:
        assert (first, second) == (Path('demo_output'), Path('demo_output_2'))
        assert first.is_dir() and second.is_dir()
    with own_folder(None) as again:
        assert again == first


def test_a_folder_that_another_demo_writes_into_is_refused_with_what_to_do() -> None:
    folder = Path('mine', 'reports')
    told = 'another demo writes into mine/reports: name another folder with --output'
    with own_folder(folder), pytest.raises(SemanticFastSamError, match=told), own_folder(folder):
        pass
    with own_folder(folder) as again:
        assert again == folder


def test_a_demo_that_was_killed_gives_both_back() -> None:
    code = (
        'import os\n'
        'from semantic_fast_sam_ros.tools.demo_place import own_folder, own_namespace\n'
        'with own_folder(None) as folder, own_namespace(lambda namespace: False) as namespace:\n'
        '    print(folder, repr(namespace), flush=True)\n'
        '    os.kill(os.getpid(), 9)\n'
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, '-c', code], capture_output=True, text=True, timeout=50, check=False
        )
        assert done.stdout == "demo_output ''\n", done.stderr
