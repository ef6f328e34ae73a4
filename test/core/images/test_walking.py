"""The files of a folder: those that a person would name, in the order in which he would."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.images.walking import files_below, require_unique

PASSED_OVER = [
    '._a.jpg',
    '.DS_Store',
    '.hidden.png',
    '__MACOSX/a.jpg',
    'deep/__MACOSX/._a.jpg',
    '.ipynb_checkpoints/a-checkpoint.png',
    '@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg',
    '.git/x.png',
    'notes.txt',
    'jpg',
]


def fill(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path, **options: object) -> list[str]:
    return [str(file.relative_to(folder)) for file in files_below(folder, **options)]


def test_what_only_looks_like_an_image_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, ['a.jpg', 'B.JPEG', 'deep/c.png', *PASSED_OVER])
    assert found(tmp_path) == ['a.jpg', 'B.JPEG', 'deep/c.png']


def test_a_hidden_folder_that_was_asked_for_is_walked(tmp_path: Path) -> None:
    fill(tmp_path, ['.cache/photos/a.png'])
    assert found(tmp_path / '.cache' / 'photos') == ['a.png']


def test_numbers_are_counted_as_people_do(tmp_path: Path) -> None:
    names = [f'frame_{i}.png' for i in (10, 2, 1, 12, 100)] + ['run_10/1.png', 'run_9/1.png']
    fill(tmp_path, names)
    assert found(tmp_path) == [
        *(f'frame_{i}.png' for i in (1, 2, 10, 12, 100)),
        'run_9/1.png',
        'run_10/1.png',
    ]


def test_the_order_does_not_depend_on_the_file_system(tmp_path: Path) -> None:
    names = ['x01.png', 'x1.png', 'X1.png', 'x001.png']
    fill(tmp_path, names)
    assert found(tmp_path) == ['X1.png', 'x001.png', 'x01.png', 'x1.png']


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, ['data/a.png', 'data/b/c.png'])
    (tmp_path / 'view').mkdir()
    (tmp_path / 'view' / 'link').symlink_to(tmp_path / 'data')
    (tmp_path / 'data' / 'b' / 'round').symlink_to(tmp_path / 'data')
    assert found(tmp_path / 'view') == ['link/a.png', 'link/b/c.png']


def test_a_folder_can_be_left_out_and_depth_refused(tmp_path: Path) -> None:
    fill(tmp_path, ['a.png', 'out/labels/a.png', 'b/c.png'])
    assert found(tmp_path, but=tmp_path / 'out') == ['a.png', 'b/c.png']
    assert found(tmp_path, deep=False) == ['a.png']


def test_a_link_to_a_device_is_no_file(tmp_path: Path) -> None:
    fill(tmp_path, ['a.png'])
    (tmp_path / 'endless.png').symlink_to('/dev/zero')
    (tmp_path / 'gone.png').symlink_to(tmp_path / 'nothing.png')
    assert found(tmp_path) == ['a.png', 'gone.png'], 'one that is missing is told when it is read'


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, ['a.png', 'closed/b.png'])
    scan = os.scandir

    def refuse(folder: Any) -> Any:
        if Path(folder).name == 'closed':
            raise PermissionError(errno.EACCES, 'Permission denied', str(folder))
        return scan(folder)

    monkeypatch.setattr(os, 'scandir', refuse)  # root may read everything
    unread: list[OSError] = []
    assert found(tmp_path, unread=unread) == ['a.png']
    assert [error.filename for error in unread] == [str(tmp_path / 'closed')]
    for folder in (tmp_path, tmp_path / 'closed'):
        with pytest.raises(ConfigError, match=r'closed cannot be read: Permission denied'):
            files_below(folder)


def test_files_that_may_not_be_looked_at_are_left_to_who_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'a.png').touch()

    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, 'Permission denied', str(path))

    monkeypatch.setattr(Path, 'is_file', refuse)  # root may look at everything
    assert files_below(tmp_path) == [tmp_path / 'a.png']


def test_files_of_one_name_are_told_with_both(tmp_path: Path) -> None:
    files = [tmp_path / 'a.jpg', tmp_path / 'b.jpg', tmp_path / 'a.png']
    with pytest.raises(ConfigError, match=r"a\.jpg and .*a\.png would both be 'a'.*rename one"):
        require_unique(files, lambda file: file.stem)
    require_unique(files[:2], lambda file: file.stem)
