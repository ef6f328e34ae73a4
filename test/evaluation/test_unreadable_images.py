"""One image of several that cannot be read: it is told, the others count, the exit code is 3."""

from pathlib import Path

import layouts
import pytest

from semantic_fast_sam_ros.__main__ import main

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    'options',
    [
        ['evaluate', '--rows=dense', '--work={work}'],
        ['sweep', '--stride=1', '--trials=1', '--image-sizes=64'],
    ],
    ids=lambda options: options[0],
)
def test_the_others_count_and_the_exit_code_tells(
    options: list[str], networks: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = layouts.camvid(tmp_path / 'data', count=3)
    images = sorted((folder / 'val' / 'images').iterdir())
    images[1].write_bytes(images[1].read_bytes()[:200])
    command, *rest = (word.format(work=tmp_path / 'work') for word in options)
    assert main([command, 'camvid', str(folder), *rest, *networks]) == 3
    printed, told = capsys.readouterr()
    assert f'left out: {images[1]} is not a readable image' in told
    assert 'dense' in printed
