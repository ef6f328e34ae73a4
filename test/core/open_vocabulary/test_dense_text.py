"""CLIPSeg and GroupViT as dense branches, against transformers' own call, one text at a time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import write_segformer
from tiny_text import SIDE, write_clipseg, write_groupvit
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.dense_text import (
    DenseTextLabeller,
    load_text_segmenter,
)
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

CPU, FP32 = torch.device('cpu'), torch.float32
NAMES = ('a', 'bb', 'c')


WRITERS = {'clipseg': write_clipseg, 'groupvit': write_groupvit}


@pytest.fixture(scope='module', params=sorted(WRITERS))
def kind(request: pytest.FixtureRequest) -> str:
    """Give each labeller's name in turn."""
    return str(request.param)


@pytest.fixture(scope='module')
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a tiny checkpoint."""
    return WRITERS[kind](tmp_path_factory.mktemp('models') / kind)


def labeller(kind: str, folder: Path, vocabulary: Vocabulary, **settings: object) -> Any:
    """Return the labeller on a tiny checkpoint."""
    values = {'labeller': kind, 'dense.model': str(folder), 'clip.templates': 'none', **settings}
    config = from_values(values)
    return DenseTextLabeller(
        load_text_segmenter(config, Policy(offline=True), CPU, FP32), vocabulary, config
    )


def picture() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand((1, 3, 5, 7), generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, (48, 80), mode='bilinear')[0].to(torch.uint8)


def plainly(kind: str, folder: Path, image: Tensor) -> Tensor:
    """Return the logits (C, h, w) of transformers' own forward pass, one name at a time."""
    import transformers

    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pixels = processor(images=image, return_tensors='pt')['pixel_values']
    logits = []
    with torch.inference_mode():
        for name in NAMES:
            tokens = tokenizer([name], return_tensors='pt')
            if kind == 'clipseg':
                model = transformers.CLIPSegForImageSegmentation.from_pretrained(folder).eval()
                logits.append(model(pixel_values=pixels, **tokens).logits.reshape(SIDE, SIDE))
            else:
                model = transformers.GroupViTModel.from_pretrained(folder).eval()
                found = model(pixel_values=pixels, output_segmentation=True, **tokens)
                logits.append(found.segmentation_logits[0, 0])
    return torch.stack(logits)


def test_scores_are_those_of_the_library_one_by_one(kind: str, folder: Path) -> None:
    image = picture()
    ours = labeller(kind, folder, parse_list(', '.join(NAMES)))
    with torch.inference_mode():
        dense = ours._segmenter.segment(image, ours._prepared.classes)
    expected = plainly(kind, folder, image)
    assert expected.std() > 1e-3
    assert torch.allclose(dense.scores, expected, atol=1e-4)


def test_masks_vote_and_negatives_come_out_unlabelled(kind: str, folder: Path) -> None:
    image = picture()
    masks = torch.zeros((2, 48, 80), dtype=torch.bool)
    masks[0, :, :40], masks[1, :, 40:] = True, True
    proposals = MaskProposals(masks, torch.zeros(2, 4), torch.ones(2))
    names = [SemanticClass(i, n, (i, i, i), negative=n == 'bb') for i, n in enumerate(NAMES, 1)]
    hard = {'vote.mode': 'hard', 'vote.minimum_purity': 0.0}
    ours = labeller(kind, folder, Vocabulary(tuple(names)), **hard)
    with torch.inference_mode():
        labels = ours.label(image, proposals)
        best = ours._segmenter.segment(image, ours._prepared.classes).probabilities((48, 80))
    ids = torch.tensor([1, 0, 3])[best.argmax(0)]
    expected = [int(ids[mask].bincount(minlength=4).argmax()) for mask in masks]
    assert labels.class_ids[:, 0].tolist() == expected
    assert labels.pixels is not None and torch.equal(labels.pixels.class_ids, ids)


def test_another_kind_of_model_is_refused(kind: str, tmp_path: Path) -> None:
    other = write_segformer(tmp_path / 'segformer')
    with pytest.raises(ModelError, match='holds a segformer model'):
        labeller(kind, other, parse_list('a'))
