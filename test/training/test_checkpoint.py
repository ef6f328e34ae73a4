"""A training goes on from its checkpoint as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from checkpoint import Checkpoint

pytestmark = pytest.mark.quick


def trained(folder: Path, steps: int) -> torch.nn.Linear:
    """Train a layer for so many more steps, from the folder's checkpoint if it has one."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=0.1)
    state = Checkpoint(folder, layer=layer, optimiser=optimiser)
    for _ in range(steps):
        optimiser.zero_grad()
        layer(torch.full((4, 3), float(state.step))).square().sum().backward()
        optimiser.step()
        state.step += 1
        state.elapsed += 0.5
    state.save()
    return layer


def test_two_runs_give_what_one_gives(tmp_path: Path) -> None:
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    whole.mkdir()
    parts.mkdir()
    expected = trained(whole, 5)
    trained(parts, 2)
    found = trained(parts, 3)
    torch.testing.assert_close(found.weight, expected.weight, rtol=0, atol=0)
    state = Checkpoint(parts)
    assert (state.step, state.elapsed) == (5, 2.5)


def test_interrupted_save_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, 2)

    def full_disk(state: object, file: Path) -> None:
        file.write_bytes(b'half')
        raise OSError('no space left')

    monkeypatch.setattr(torch, 'save', full_disk)
    with pytest.raises(OSError, match='no space'):
        trained(tmp_path, 1)
    assert Checkpoint(tmp_path).step == 2
