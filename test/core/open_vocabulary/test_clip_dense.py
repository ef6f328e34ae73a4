"""Dense CLIP features, pooled in masks, against one mask at a time and the library's own pass."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from tiny_clip import SIDE
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip_dense import (
    ClipDenseLabeller,
    dense_features,
    pool,
)
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel, load_clip
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def model(clip_path: Path) -> ClipModel:
    """Give the tiny CLIP model."""
    config = from_values({'clip.model': str(clip_path)})
    return load_clip(config.clip, Policy(offline=True), Runtime(CPU))


def convolutional(dim: int = 16) -> Any:
    """Return a timm trunk as open_clip uses it."""
    from open_clip.timm_model import TimmModel

    torch.manual_seed(0)
    return TimmModel('resnet10t', dim, image_size=64, pool='avg', proj='linear').eval()


def scene() -> tuple[Tensor, MaskProposals]:
    """Return an image of the model's size and three masks."""
    generator = torch.Generator().manual_seed(5)
    image = torch.randint(0, 256, (3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    masks = torch.zeros((3, SIDE, SIDE), dtype=torch.bool)
    masks[0, :, : SIDE // 2] = True
    masks[1, 3:21, 5:30] = True
    masks[2, 30:31, 30:32] = True
    return image, MaskProposals(masks, torch.zeros(3, 4), torch.ones(3))


def test_scores_are_those_of_one_mask_at_a_time(model: ClipModel) -> None:
    image, proposals = scene()
    names = parse_list('road, car | vehicle, dog')
    config = from_values({'labeller': 'clip_dense', 'clip.templates': 'none'})
    ours = ClipDenseLabeller(model, names, config)
    with torch.inference_mode():
        labels = ours.label(image, proposals)
        seen: list[Tensor] = []
        visual = model.network.visual
        last = visual.transformer.resblocks[-1]
        hook = last.ln_1.register_forward_hook(lambda module, given, out: seen.append(out))
        visual(model.normalise(image[None].float()))  # open_clip's own pass
        hook.remove()
        # The values as attention computes them when every place attends to itself alone.
        tokens = seen[0][0, 1:]
        alone = torch.stack([last.attn(t[None], t[None], t[None])[0][0] for t in tokens])
        places = visual.ln_post(alone) @ visual.proj
        text = ours.prepare(names).weights
        for i, mask in enumerate(proposals.masks):
            cells = mask.float().unfold(0, 8, 8).unfold(1, 8, 8).mean((-1, -2)).flatten()
            vector = (places * cells[:, None]).sum(0) / cells.sum()
            shares = (model.scale * functional.normalize(vector, dim=0) @ text).softmax(0)
            assert torch.allclose(labels.scores[i], shares.sort(descending=True)[0], atol=1e-4)


def test_convolutional_features_average_to_the_librarys_own_vector() -> None:
    visual = convolutional()
    pixels = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        dense = dense_features(visual, pixels)
        assert dense.shape[0] == 2 and dense.shape[2:] == (2, 3)
        assert torch.allclose(dense.mean((2, 3)), visual(pixels), atol=1e-4)


def test_pooling_weighs_places_by_the_share_inside() -> None:
    features = torch.tensor([[[1.0, 3.0]], [[2.0, 4.0]]])  # (dim 2, 1, 2)
    masks = torch.zeros((2, 4, 8), dtype=torch.bool)
    masks[0, :, 2:8] = True  # half of the first place, the whole second
    masks[1, 0, 7] = True
    expected = torch.tensor([[(1 + 2 * 3) / 3, (2 + 2 * 4) / 3], [3, 4]])
    assert torch.allclose(pool(features, masks), expected)


def test_no_masks_give_no_labels(model: ClipModel) -> None:
    image, proposals = scene()
    ours = ClipDenseLabeller(model, parse_list('road, car'), from_values({}))
    with torch.inference_mode():
        labels = ours.label(image, proposals.take(torch.tensor([], dtype=torch.long)))
    assert labels.class_ids.shape[0] == 0


def test_tower_without_places_is_refused(model: ClipModel) -> None:
    other = ClipModel(model._load, Path('anywhere'), Runtime(CPU))
    visual = other.network.visual
    other.network.visual = torch.nn.Identity()
    try:
        with pytest.raises(ModelError, match='clip_dense needs'):
            ClipDenseLabeller(other, parse_list('road'), from_values({}))
    finally:
        other.network.visual = visual
