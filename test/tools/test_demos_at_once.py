"""Two demos on one machine: each reports what it did itself, and ends without a warning."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def start(folder: Path, *words: str) -> 'subprocess.Popen[str]':
    return subprocess.Popen(
        [sys.executable, '-m', 'semantic_fast_sam_ros', 'demo', *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).resolve().parents[2])},
    )


def children(number: int) -> list[psutil.Process]:
    return psutil.Process(number).children()


def test_each_has_its_own_images_names_and_folder(tmp_path: Path) -> None:
    words = ('--seconds', '3', '--rate', '4', '--vocabulary')
    demos = {name: start(tmp_path, *words, f'[{name}]') for name in ('road', 'pedestrian')}
    told = {name: demo.communicate(timeout=200)[0] for name, demo in demos.items()}
    assert [demo.returncode for demo in demos.values()] == [0, 0], told
    assert sum('begin with /demo_2/' in text for text in told.values()) == 1
    for name, text in told.items():
        assert 'no image' not in text and 'WARN' not in text
        folder = re.search(r'See (\S+)/index.html', text)  # whichever came first has the plain one
        assert folder, text
        found = json.loads((tmp_path / folder[1] / 'report.json').read_text())
        assert set(found['classes']) <= {name, 'unlabelled'}
        ended = ('processed', 'dropped', 'refused', 'failed')
        # Of both cameras' images there would be twice as many; one may be lost on a busy machine.
        assert 0 < sum(found[f'frames_{how}'] for how in ended) <= found['frames_published']


def test_ctrl_c_before_the_first_label_says_how_far_the_start_has_come(tmp_path: Path) -> None:
    demo = start(tmp_path)
    deadline = time.monotonic() + 100
    while not any('semantic_fast_sam_ros.ros.process' in p.cmdline() for p in children(demo.pid)):
        assert demo.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    demo.send_signal(signal.SIGINT)  # the node takes seconds to import torch
    told = demo.communicate(timeout=100)[0]
    assert 'there is no report: the node was still starting' in told
    assert 'Traceback' not in told
    assert demo.returncode == 1
