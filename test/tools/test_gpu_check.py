"""`gpu_check` runs where there is a GPU, tries itself on a CPU, and says what it left out."""

import json
from pathlib import Path

import pytest

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.tools import gpu_check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_without_cuda_it_ends_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert main(['gpu_check']) == 1
    assert capsys.readouterr().out.count('\n') == 1


def test_on_a_cpu_tiny_networks_go_through_the_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['gpu-check', '--device', 'cpu', '--json', str(tmp_path / 'found.json')]) == 0
    found = json.loads((tmp_path / 'found.json').read_text())
    table = capsys.readouterr().out
    rows = {row['check']: row for row in found['rows']}
    checks = ('labels, 128x96', 'cameras, 128x96', 'frame, 128x96, 4 masks')
    names = ('tiny', 'tiny OneFormer')
    assert {*rows} == {f'{name}: {check}' for name in names for check in checks}, table
    for name in names:
        assert rows[f'{name}: labels, 128x96']['equal_percent']['fp32'] == 100
    assert rows['tiny: frame, 128x96, 4 masks']['waits'] <= 2
    assert '| tiny: frame' in table and '\n## Skipped\n\nnothing' in table


def test_what_fails_is_skipped_with_its_reason_and_the_others_go_on() -> None:
    def broken() -> gpu_check.Row:
        raise RuntimeError('no kernel image is available\nmore')

    def absent() -> gpu_check.Row:
        raise ModuleNotFoundError("No module named 'open_clip'", name='open_clip')

    report = gpu_check.Report(skipped={})
    for name, work in {'a': broken, 'b': absent, 'c': lambda: {'off_ms': 1}}.items():
        gpu_check._add(report, name, work)
    assert report.skipped == {
        'a': 'RuntimeError: no kernel image is available',
        'b': 'open_clip is not installed',
    }
    assert report.rows == [{'check': 'c', 'off_ms': 1}]


def test_nothing_is_begun_after_the_limit() -> None:
    work = gpu_check._in_time(-1e9, lambda config: {}, lambda: None)
    with pytest.raises(Exception, match='were over'):
        work()
