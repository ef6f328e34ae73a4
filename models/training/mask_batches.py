"""Draw batches for the mask network from several data sets."""

from pathlib import Path

import numpy as np
import torch
from mask_examples import Example, View, view
from torch import Tensor

from semantic_fast_sam_ros.core.images.files import read_image

Canvases = tuple[tuple[int, int], ...]


class Draws:
    """Draws a set by its share, then an image of it in turn; a batch is upright or level."""

    def __init__(self, sets: list[tuple[float, list[Example]]], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        shares = np.array([share for share, _ in sets])
        self._shares = shares / shares.sum()
        self._examples = [examples for _, examples in sets]
        self._order: dict[tuple[int, bool], list[Example]] = {}
        self._upright = {e.image: _is_upright(e.image) for some in self._examples for e in some}

    def batch(self, count: int, canvases: Canvases) -> dict[str, Tensor]:
        """Return a batch as the loss wants it, of views of one of the sizes (width, height)."""
        places = self._rng.choice(len(self._shares), count, p=self._shares)
        upright = self._is_next_upright(places[0])
        width, height = canvases[self._rng.integers(len(canvases))]
        size = (height, width) if upright else (width, height)
        return _collate([view(self._next(p, upright), size, self._rng) for p in places])

    def _is_next_upright(self, place: int) -> bool:
        examples = self._examples[place]
        return self._upright[examples[self._rng.integers(len(examples))].image]

    def _next(self, place: int, upright: bool) -> Example:
        left = self._order.setdefault((place, upright), [])
        if not left:
            fitting = [e for e in self._examples[place] if self._upright[e.image] == upright]
            fitting = fitting or self._examples[place]
            left += [fitting[i] for i in self._rng.permutation(len(fitting))]
        return left.pop()


def _is_upright(image: Path) -> bool:
    height, width = read_image(image).shape[:2]
    return height > width


def _collate(views: list[View]) -> dict[str, Tensor]:
    counts = [len(v.boxes) for v in views]
    pixels = np.stack([v.image for v in views]).transpose(0, 3, 1, 2)
    return {
        'img': torch.from_numpy(pixels.astype(np.float32) / 255),
        'masks': torch.from_numpy(np.concatenate([v.masks for v in views])),
        'bboxes': torch.from_numpy(np.concatenate([v.boxes for v in views])),
        'labelled': torch.from_numpy(np.stack([v.labelled for v in views])),
        'batch_idx': torch.arange(len(views)).repeat_interleave(torch.tensor(counts)).float(),
        'cls': torch.zeros(sum(counts), 1),
    }
