"""What errors say, for messages of others."""

from pathlib import Path

import pytest

from semantic_fast_sam_ros.core.base.errors import reason_of
from semantic_fast_sam_ros.core.base.folders import looked_in


@pytest.mark.parametrize(
    ('error', 'said'),
    [
        (FileNotFoundError(2, 'No such file or directory', 'a.txt'), 'No such file or directory'),
        (OSError('it is empty: 0 bytes'), 'it is empty: 0 bytes'),
        (ValueError('line 3'), 'line 3'),
        (MemoryError(), 'MemoryError'),
    ],
)
def test_the_reason_does_not_name_the_file_again(error: Exception, said: str) -> None:
    assert reason_of(error) == said


def test_of_a_relative_path_it_is_said_where_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert looked_in(Path('a.txt')) == f' in {tmp_path}'
    assert looked_in(tmp_path / 'a.txt') == ''
