"""The short form of benchmarks/long_run.py: a minute at full load with the models that ship."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT


@pytest.mark.timeout(600)
def test_a_minute_at_full_load_leaves_memory_threads_files_and_counts_right(
    tmp_path: Path,
) -> None:
    script = [sys.executable, str(ROOT / 'benchmarks' / 'long_run.py')]
    ended = subprocess.run(
        [*script, '--minutes', '1', '--output', str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads((tmp_path / 'long_run.json').read_text())
    ends = ('processed', 'dropped', 'refused', 'failed')
    assert figures['received'] == sum(figures[name] for name in ends) > 0
    assert figures['failed'] == figures['refused'] == 0
    assert figures['heard']['label_image'] > 0
    assert (tmp_path / 'long_run.png').is_file()
