"""On a GPU a frame is its networks: few operations, and hardly a wait, outside of them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.benchmarking.counted_work import CountedWork
from semantic_fast_sam_ros.core import loading
from semantic_fast_sam_ros.core.base import jit
from semantic_fast_sam_ros.core.base.errors import NetworkError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import from_values

IMAGE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
NAMES = ('road', 'car', 'person', 'sky')
SETTINGS = {
    'device': 'cpu',
    'trust_model_files': True,
    'masks.image_size': 128,
    'dense.image_size': 96,
    'dense.model': 'dense.pt',
    'masks.model': 'masks.pt',
}


class Masks(nn.Module):
    """Finds as many boxes as it is told, beside one of the whole image and an empty one."""

    def __init__(self, count: int = 40) -> None:
        super().__init__()
        self.count = count

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        height, width = batch.shape[2:]
        corner = torch.rand(2, self.count) * torch.tensor([[width], [height]])
        sides = torch.rand(2, self.count) * 40 + 8
        boxes = torch.cat([corner, sides])
        whole = torch.tensor([[width / 2, height / 2, width, height], [-50.0, -50, 4, 4]]).T
        boxes = torch.cat([whole, boxes, torch.rand(4, 60) * 40], 1)
        scores = torch.cat([torch.full((2,), 0.99), torch.rand(self.count) / 2 + 0.45])
        scores = torch.cat([scores, torch.full((60,), 0.01)])  # not sure enough
        weights = torch.randn(8, boxes.shape[1]) + 0.3
        weights[:, 0] = 9.0
        prototypes = torch.rand(1, 8, height // 4, width // 4)
        return torch.cat([boxes, scores[None], weights])[None], prototypes


class Dense(nn.Module):
    """Has opinions on patches of the image."""

    class_names = NAMES

    def forward(self, batch: Tensor) -> tuple[Tensor]:
        torch.manual_seed(2)
        return (3 * torch.randn(1, len(NAMES), batch.shape[2] // 8, batch.shape[3] // 8),)


class Tower(nn.Module):
    """A CLIP of one layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.visual = SimpleNamespace(
            image_size=16, preprocess_cfg={'mean': [0.5] * 3, 'std': [0.2] * 3}
        )
        self.logit_scale = torch.tensor(2.0)
        self.layer = nn.Linear(3 * 16 * 16, 12)
        self.words = nn.Embedding(64, 12)

    def encode_image(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.layer(pixels.flatten(1))
        return found

    def encode_text(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.words(tokens).mean(1)
        return found


def tokens(texts: list[str]) -> Tensor:
    return torch.tensor([[ord(letter) % 64 for letter in f'{text:40}'[:40]] for text in texts])


Make = Callable[..., SemanticFastSam]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    """Return what makes pipelines whose networks are those above."""

    def load(file: Path, *_: Any) -> nn.Module:
        return networks[Path(file).name]

    networks: dict[str, nn.Module] = {}
    for name in ('masks.pt', 'dense.pt'):
        (tmp_path / name).write_bytes(b'weights')
    part = 'semantic_fast_sam_ros.core'
    monkeypatch.setattr(f'{part}.masks.fastsam._load', load)
    monkeypatch.setattr(f'{part}.closed_set.dense._load_semantic', load)
    clip = lambda *_: ClipModel(lambda: (Tower(), tokens), tmp_path, _runtime())  # noqa: E731
    monkeypatch.setattr(loading, 'load_clip', clip)

    def pipeline(count: int = 40, **settings: object) -> SemanticFastSam:
        networks.update({'masks.pt': Masks(count), 'dense.pt': Dense()})
        files = {k: str(tmp_path / str(SETTINGS[k])) for k in ('masks.model', 'dense.model')}
        dotted = {name.replace('__', '.'): value for name, value in settings.items()}
        return SemanticFastSam(from_values({**SETTINGS, **files, **dotted}))

    return pipeline


def _runtime() -> Any:
    from semantic_fast_sam_ros.core.networks.runtime import Runtime

    return Runtime(torch.device('cpu'), backend='torch')


CLIP = {'labeller': 'clip', 'vocabulary': 'road, car, person'}


def counted(segment: SemanticFastSam) -> tuple[CountedWork, SegmentationResult]:
    """Return the work of a second frame: the first one uploads what stays on the device."""
    work = CountedWork()
    for _ in range(2):
        work = CountedWork()
        with work.counting():
            result = segment(IMAGE)
    return work, result


@pytest.mark.parametrize(
    ('settings', 'operations', 'waits'), [({}, 200, 2), (CLIP, 350, 3)], ids=['closed_set', 'clip']
)
@pytest.mark.parametrize('count', [5, 40])
def test_a_frame_takes_few_operations_and_waits(
    make: Make, settings: dict[str, Any], operations: int, waits: int, count: int
) -> None:
    work, result = counted(make(count, **settings))
    assert len(result.mask_ids) > count / 3
    assert sum(work.operations.values()) <= operations, work.operations.most_common(20)
    assert sum(work.waits.values()) <= waits, work.waits


@pytest.mark.parametrize('count', [0, 1, 40])
@pytest.mark.parametrize('settings', [{}, {'vote.mode': 'hard'}, CLIP], ids=str)
def test_the_labels_are_those_of_the_loops(
    make: Make, settings: dict[str, Any], count: int
) -> None:
    segment = make(count, **settings)
    expected, (_, found) = segment(IMAGE), counted(segment)
    assert len(found.mask_ids) == len(expected.mask_ids)
    for name in ('label_map', 'instances'):
        assert (getattr(found, name) == getattr(expected, name)).mean() > 0.999, name
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(found.class_scores, expected.class_scores, atol=1e-4)


@pytest.mark.parametrize('network', ['masks', 'dense'])
def test_numbers_that_are_none_are_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    kind = {'masks': Masks, 'dense': Dense}[network]
    spoiled = lambda _, batch: tuple(t * float('nan') for t in forward(_, batch))  # noqa: E731
    forward = kind.forward
    segment = make()
    monkeypatch.setattr(kind, 'forward', spoiled)
    monkeypatch.setattr(jit, 'suits', lambda device: False)
    with pytest.raises(NetworkError, match='NaN or infinity'):
        segment(IMAGE)


@pytest.mark.parametrize('settings', [{}, CLIP], ids=str)
def test_an_image_without_masks_is_labelled_all_the_same(
    make: Make, settings: dict[str, Any]
) -> None:
    segment = make(**settings, masks__confidence=0.995)
    expected, (_, found) = segment(IMAGE), counted(segment)
    assert len(found.mask_ids) == 0 and not found.instances.any()
    assert (found.label_map == expected.label_map).mean() > 0.999
