"""The search for settings."""

import json
from pathlib import Path

import layouts
import pytest

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.evaluation import sweeping
from semantic_fast_sam_ros.evaluation.mapping import ClassMapping
from semantic_fast_sam_ros.tools import sweep


def test_a_sweep_writes_trials_and_curves(networks: list[str], tmp_path: Path, capsys) -> None:
    folder = layouts.camvid(tmp_path / 'data', count=2)
    output, drawing = tmp_path / 'trials.json', tmp_path / 'curves.svg'
    options = ['--stride=1', '--trials=6', '--image-sizes=64,96']
    command = ['sweep', 'camvid', str(folder), f'--json={output}', f'--svg={drawing}', *options]
    assert main([*command, *networks]) == 0
    records = json.loads(output.read_text())
    assert len(records) == 1 + 2 * 6
    assert {r['settings']['masks.image_size'] for r in records[1:]} == {64, 96}
    assert all(0 <= r['miou'] <= 1 for r in records)
    assert drawing.read_text().startswith('<svg')
    printed = capsys.readouterr().out
    assert 'dense   mIoU' in printed and 'chosen without first half' in printed


def record(mode: str, folds: list[float], rest: list[float]) -> dict:
    names = ('a', 'b')
    return {
        'settings': {'vote.mode': mode},
        'folds': dict(zip(names, folds, strict=True)),
        'rest': dict(zip(names, rest, strict=True)),
    }


def test_a_choice_is_measured_where_it_was_not_made() -> None:
    records = [record('hard', [0.9, 0.1], [0.1, 0.9]), record('soft', [0.2, 0.8], [0.8, 0.2])]
    assert sweeping.cross_check(records) == {'a': 0.2, 'b': 0.1}


@pytest.mark.parametrize(
    ('sequences', 'expected'),
    [
        ('aaab', {'a': [1, 1, 1, 0], 'b': [0, 0, 0, 1]}),
        ('aaaa', {'first half': [1, 1, 0, 0], 'second half': [0, 0, 1, 1]}),
    ],
)
def test_folds_are_sequences_where_there_are_several(sequences: str, expected) -> None:
    images = [Named(s) for s in sequences]
    found = {name: fold.astype(int).tolist() for name, fold in sweeping.folds_of(images).items()}
    assert found == expected


class Named:
    """An image of which only the sequence is asked."""

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence


def test_trials_are_drawn_anew_the_same_and_cover_all_modes() -> None:
    every = list(sweeping.trials(VoteSettings()))
    assert {t.vote.mode for t in every} == {'hard', 'soft', 'fusion'}
    assert sweep.choose(VoteSettings(), 9) == sweep.choose(VoteSettings(), 9)
    assert sweep.choose(VoteSettings(), 0) == every


def test_a_sweep_scores_the_classes_that_the_settings_publish(
    networks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = []
    real = sweeping.map_classes

    def kept(ours: Vocabulary, wanted: Vocabulary) -> ClassMapping:
        published.append(ours.names)
        return real(ours, wanted)

    monkeypatch.setattr(sweeping, 'map_classes', kept)
    folder = layouts.camvid(tmp_path / 'data', count=1)
    command = ['sweep', 'camvid', str(folder), '--stride=1', '--trials=1', '--image-sizes=64']
    assert main([*command, *networks, '--vocabulary', 'car | road | tree, sky']) == 0
    assert published == [('car', 'sky')]
