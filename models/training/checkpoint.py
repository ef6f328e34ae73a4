"""A training that an interruption costs a minute: what it has come to, in one file."""

from pathlib import Path
from typing import Any

import torch


class Checkpoint:
    """Saves the state of a training's parts, and how many steps and seconds they have had."""

    def __init__(self, folder: Path, **parts: Any) -> None:
        """Begin, or go on from the file in a folder.

        Args:
            folder: that is there.
            parts: whatever has `state_dict` and `load_state_dict`: networks, optimisers.
        """
        self.step, self.elapsed = 0, 0.0
        self._parts, self._file = parts, folder / 'checkpoint.pt'
        if self._file.exists():
            state = torch.load(self._file, weights_only=True)
            for name, part in parts.items():
                part.load_state_dict(state[name])
            self.step, self.elapsed = state['step'], state['elapsed']
            print(f'goes on at step {self.step}, {self.elapsed / 60:.1f} minutes', flush=True)

    def save(self) -> None:
        """Replace the file in one piece."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        new = self._file.with_suffix('.tmp')
        torch.save({**state, 'step': self.step, 'elapsed': self.elapsed}, new)
        new.replace(self._file)
