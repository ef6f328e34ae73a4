"""`stream` plays what can be read, and its exit code tells of the rest."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from harness import ROOT


@pytest.mark.parametrize(('damaged', 'code'), [(False, 0), (True, 3)])
def test_one_image_of_several_that_cannot_be_read_is_told(
    damaged: bool, code: int, tmp_path: Path
) -> None:
    folder, count = tmp_path / 'photos', tmp_path / 'count.json'
    folder.mkdir()
    for name in 'abc':
        cv2.imwrite(str(folder / f'{name}.png'), np.full((12, 16, 3), 90, np.uint8))
    if damaged:
        (folder / 'b.png').write_bytes((folder / 'a.png').read_bytes()[:40])
    words = ['stream', str(folder), '--rate', '50', '--count-file', str(count)]
    ended = subprocess.run(
        [sys.executable, '-m', 'semantic_fast_sam_ros', *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == code, ended.stderr
    assert json.loads(count.read_text()) == (2 if damaged else 3)
    assert (f'left out: {folder / "b.png"} is not a readable image' in ended.stderr) == damaged
