"""What names have settled into is kept whole, and read for its own model only."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.open_vocabulary import adaptation_file
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import State

CPU = torch.device('cpu')


def learned(dimensions: int = 3) -> State:
    """Return a state of two looks."""
    return State(
        (('car', 'vehicle'), ('road',)),
        torch.arange(2.0 * dimensions).reshape(2, dimensions),
        torch.tensor([1.5, 2.5]),
        torch.tensor([3.5, 4.5]),
        torch.tensor([7, 8]),
        torch.tensor([0.5, 0.25]),
        torch.tensor([0.1, 9.0]),
    )


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    file = tmp_path / 'new' / 'names.safetensors'
    adaptation_file.save(file, {'front': learned(), '': learned()}, 'model 1')
    found = adaptation_file.load(file, 'model 1', 3, CPU)
    assert set(found) == {'front', ''}
    assert found['front'].looks == found[''].looks == learned().looks
    for name in adaptation_file.TENSORS:
        assert torch.equal(getattr(found['front'], name), getattr(learned(), name))
    assert [p.name for p in file.parent.iterdir()] == ['names.safetensors']


def test_a_file_that_is_not_there_yet_is_no_error(tmp_path: Path) -> None:
    assert adaptation_file.load(tmp_path / 'none', 'model 1', 3, CPU) == {}


def test_names_of_another_model_are_refused(tmp_path: Path) -> None:
    adaptation_file.save(tmp_path / 'names', {'': learned()}, 'model 1')
    with pytest.raises(ConfigError, match=r'names was learned with another clip\.model'):
        adaptation_file.load(tmp_path / 'names', 'model 2', 3, CPU)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'damaged').write_bytes(b'no safetensors')
    with pytest.raises(ConfigError, match='damaged cannot be read'):
        adaptation_file.load(tmp_path / 'damaged', 'model 1', 3, CPU)
    save_file({'weight': torch.ones(2)}, tmp_path / 'network')
    with pytest.raises(ConfigError, match='network holds no names that have settled'):
        adaptation_file.load(tmp_path / 'network', 'model 1', 3, CPU)


@pytest.mark.parametrize(
    ('wrong', 'reason'),
    [
        (learned(5), r'sums should be finite torch.float32 of the shape \(2, 3\)'),
        (replace(learned(), counts=torch.ones(3)), r'counts .* shape \(2,\)'),
        (replace(learned(), seen=torch.tensor([1, torch.nan])), 'seen should be finite'),
        (replace(learned(), taken=torch.ones(2)), 'taken should be finite torch.int64'),
        (replace(learned(), looks=(('car',), ('car',))), 'twice'),
    ],
    ids=['other dimension', 'too many rows', 'not a number', 'other kind', 'same name'],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, wrong: State, reason: str) -> None:
    adaptation_file.save(tmp_path / 'names', {'': wrong}, 'model 1')
    with pytest.raises(ConfigError, match=f'names is damaged .*{reason}.* delete it'):
        adaptation_file.load(tmp_path / 'names', 'model 1', 3, CPU)


@pytest.mark.parametrize('looks', [None, 'no list', '[1]', '{"": [["car"], ["road"]]}'])
def test_what_is_missing_is_refused(tmp_path: Path, looks: str | None) -> None:
    told = {'format': adaptation_file.FORMAT, 'model': 'model 1'}
    told |= {'looks': looks} if looks else {}
    save_file({'/sums': torch.ones((2, 3))}, tmp_path / 'names', metadata=told)
    with pytest.raises(ConfigError, match=r'names is damaged .* delete it'):
        adaptation_file.load(tmp_path / 'names', 'model 1', 3, CPU)
