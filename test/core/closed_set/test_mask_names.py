"""What a mask network takes a mask for joins the mask's votes, where masks.names asks so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from scenes import NAMES, Names, proposals_of
from torch import Tensor

from semantic_fast_sam_ros import SemanticFastSam
from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.masks.types import MaskLabels
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.settings.models import MaskSettings, VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

CPU = Runtime(torch.device('cpu'))
TAKEN_FOR = ('person', 'car')  # by the mask network; nobody publishes a person here
HARD = VoteSettings(mode='hard', minimum_purity=0.5)


def test_a_name_weighs_as_much_as_it_is_trusted() -> None:
    shares = torch.tensor([[0.8, 0.2, 0.0], [0.8, 0.2, 0.0], [0.0, 0.0, 0.0]])
    joined = voting.with_names(shares, torch.tensor([2, -1, 1]), torch.tensor([0.75, 0.9, 0.5]))
    expected = [[0.2, 0.05, 0.75], [0.8, 0.2, 0.0], [0.0, 0.5, 0.0]]
    torch.testing.assert_close(joined, torch.tensor(expected))


def test_the_chance_that_a_name_is_right_is_that_of_the_measured_masks() -> None:
    """1,619 masks of YOLOv8n-seg: among those that score 0.14, 0.4 and 0.8 so many were right."""
    found = voting.name_reliability(torch.tensor([0.0, 0.14, 0.4, 0.8, 1.0]))
    torch.testing.assert_close(
        found, torch.tensor([0.0, 0.6, 0.8, 0.95, 1.0]), atol=0.02, rtol=0.0
    )


def vote(settings: VoteSettings, score: float, taken_for: str) -> MaskLabels:
    """Label a 2 x 6 image, 80 % road and 20 % car everywhere, under one mask of its left half."""
    shares = np.array([0.8, 0.0, 0.2, 0.0], np.float32)[:, None, None] * np.ones((1, 2, 6))
    mask = np.zeros((1, 2, 6), bool)
    mask[..., :3] = True
    labeller = ClosedSetLabeller(Names(), from_names(NAMES), settings)
    labeller.hear(TAKEN_FOR)
    proposals = replace(
        proposals_of(mask),
        scores=torch.tensor([score]),
        classes=torch.tensor([TAKEN_FOR.index(taken_for)]),
    )
    dense = DenseMap(torch.from_numpy(shares.astype(np.float32)), are_logits=False)
    return labeller.vote(dense, proposals)


@pytest.mark.parametrize(
    ('score', 'taken_for', 'name', 'share'),
    [
        (0.9, 'car', 'car', 0.965),
        (0.05, 'car', 'road', 0.610),  # the pixels all say road
        (0.9, 'person', 'road', 1.0),  # published by nobody
    ],
)
def test_a_hard_vote_hears_the_name(score: float, taken_for: str, name: str, share: float) -> None:
    found = vote(HARD, score, taken_for)
    assert NAMES[int(found.class_ids[0, 0]) - 1] == name
    assert float(found.scores[0, 0]) == pytest.approx(share, abs=1e-3)
    assert bool(found.paints[0])


def test_fusion_brings_the_name_to_the_pixels_of_its_mask_only() -> None:
    found = vote(VoteSettings(mode='fusion', fusion_weight=1.0), 0.9, 'car')
    assert found.pixels is not None
    names = [[NAMES[int(i) - 1] for i in row] for row in found.pixels.class_ids]
    assert names == [['car'] * 3 + ['road'] * 3] * 2


def test_names_that_nobody_publishes_are_refused() -> None:
    labeller = ClosedSetLabeller(Names(), from_names(NAMES), HARD)
    with pytest.raises(ConfigError, match=r'none of the mask network.s classes \(person, dog'):
        labeller.hear(['person', 'dog'])


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A YOLO that tells three classes apart: by their size, as it comes."""
    return tiny.write_sizes(tmp_path / 'sizes.pt', ('car', 'dog', 'road'))


def masks_settings(file: Path, **values: object) -> MaskSettings:
    return MaskSettings(
        model=str(file), image_size=96, confidence=0.3, max_masks=20, names='prior', **values
    )


def test_classes_are_those_that_ultralytics_finds(
    named: Path, street: np.ndarray, street_tensor: Tensor
) -> None:
    from ultralytics import YOLO

    generator = FastSamGenerator(named, masks_settings(named), CPU)
    with torch.inference_mode():
        ours = generator.generate(street_tensor)
    asked = {'imgsz': 96, 'conf': 0.3, 'iou': 0.7, 'max_det': 20, 'agnostic_nms': True}
    bgr = np.ascontiguousarray(street[..., ::-1])
    theirs = YOLO(str(named))(bgr, **asked, verbose=False, device='cpu')[0].boxes
    assert generator.class_names == ('car', 'dog', 'road')
    assert ours.classes is not None
    assert ours.classes.tolist() == theirs.cls.long().tolist()
    assert len(set(ours.classes.tolist())) > 1


def test_other_proposals_carry_no_classes(named: Path, street_tensor: Tensor) -> None:
    settings = replace(masks_settings(named), names='ignore')
    with torch.inference_mode():
        assert FastSamGenerator(named, settings, CPU).generate(street_tensor).classes is None


def test_a_network_that_tells_no_classes_apart_is_refused(shipped_fastsam: Path) -> None:
    with pytest.raises(ModelError, match='names no classes apart'):
        FastSamGenerator(shipped_fastsam, masks_settings(shipped_fastsam), CPU)


QUICK = {'masks__image_size': 96, 'masks__confidence': 0.3, 'trust_model_files': True}


@pytest.mark.parametrize('backend', ['torch', 'openvino'])
def test_the_whole_pipeline_hears_the_names(named: Path, backend: str, street: np.ndarray) -> None:
    results = [
        SemanticFastSam.from_profile(
            'embedded', masks__model=str(named), masks__names=names, backend=backend, **QUICK
        )(street)
        for names in ('ignore', 'prior')
    ]
    without, heard = (result.class_scores[:, 0] for result in results)
    np.testing.assert_array_equal(results[0].boxes, results[1].boxes)
    assert (without != heard).any()


def test_labellers_of_any_names_do_not_take_it(named: Path) -> None:
    with pytest.raises(ConfigError, match='is for the labeller closed_set, not for clip'):
        SemanticFastSam.from_profile(
            'embedded_open', masks__model=str(named), masks__names='prior', **QUICK
        )
