"""What a network says is checked: once when it is loaded, and for every image."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from semantic_fast_sam_ros.core.base.errors import ModelError, NetworkError
from semantic_fast_sam_ros.core.closed_set.dense import DenseMap, load_dense
from semantic_fast_sam_ros.core.networks import answers
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.models import DenseSettings

pytestmark = pytest.mark.timeout(400)
TRUSTING = Policy(offline=True, trust_model_files=True)
IMAGE = np.full((48, 64, 3), 114, np.uint8)


def _pipeline(folder: Path, **settings: object) -> SemanticFastSam:
    values = {
        'masks.image_size': 64,
        'masks.confidence': 0.01,
        'masks.model': str(tiny.write_fastsam(folder / 'masks.pt')),
        'device': 'cpu',
        'trust_model_files': True,
        'offline': True,
        **settings,
    }
    return SemanticFastSam(from_values({k.replace('__', '.'): v for k, v in values.items()}))


def _spoil(folder: Path) -> Path:
    """Make the weights of a network's last layer NaN."""
    from safetensors.torch import load_file, save_file

    file = folder / 'model.safetensors'
    tensors = load_file(file)
    tensors['decode_head.classifier.weight'] *= float('nan')
    save_file(tensors, file, metadata={'format': 'pt'})
    return folder


@pytest.mark.parametrize(
    ('names', 'told'),
    [
        (['road'], ('background', 'road')),
        (['Background'], ('other', 'Background')),
        (['road', 'sky'], ('road', 'sky')),
    ],
)
def test_one_class_has_the_background_beside_it(names: list[str], told: tuple[str, ...]) -> None:
    assert answers.class_names(names) == told


def test_one_logit_becomes_two_classes_by_the_sigmoid() -> None:
    logit = torch.tensor([[[-2.0, 0.0, 3.0]]])
    found = DenseMap(answers.class_logits('x', logit, 2), are_logits=True).probabilities((1, 3))
    assert found[1, 0].tolist() == pytest.approx(logit[0, 0].sigmoid().tolist(), abs=1e-6)


def test_a_network_with_more_classes_than_names_is_refused() -> None:
    with pytest.raises(ModelError, match='x scores 3 classes, but has names for 2'):
        answers.class_logits('x', torch.zeros(3, 2, 2), 2)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
def test_what_is_no_number_is_no_answer(value: float) -> None:
    scores = torch.zeros(3, 2, 4)
    scores[1, 1, 2] = value
    with pytest.raises(NetworkError, match='NaN or infinity'):
        DenseMap(scores, are_logits=True).probabilities((4, 8))


def test_numbers_whose_sum_is_too_large_for_half_precision_are_numbers() -> None:
    answers.require_finite('x', torch.full((100,), 60000.0, dtype=torch.float16))


def test_a_segmenter_of_one_class_labels_both_sides(tmp_path: Path) -> None:
    folder = tiny.write_segformer(tmp_path / 'dense', ('road',))
    settings = DenseSettings(model=str(folder))
    segmenter = load_dense(settings, TRUSTING, Runtime(torch.device('cpu')))
    assert segmenter.class_names == ('background', 'road')
    image = torch.randint(0, 255, (3, 48, 64), dtype=torch.uint8)
    found = segmenter.segment(image).probabilities((48, 64))
    assert found.shape == (2, 48, 64) and 0 < float(found[1].mean()) < 1


def test_weights_that_are_no_numbers_are_told_when_they_are_tried(tmp_path: Path) -> None:
    folder = _spoil(tiny.write_segformer(tmp_path / 'dense'))
    pipeline = _pipeline(tmp_path, dense__model=str(folder), vocabulary='')
    with pytest.raises(NetworkError):
        pipeline(IMAGE)
    with pytest.raises(ModelError, match=r'masks.pt \+ .*dense failed: .*NaN or infinity'):
        pipeline.warm_up()


def test_an_unknown_kind_of_universal_segmenter_is_named(tmp_path: Path) -> None:
    config = {'model_type': 'detr', 'architectures': ['DetrForUniversalSegmentation']}
    (tmp_path / 'config.json').write_text(json.dumps(config))
    settings = DenseSettings(model=str(tmp_path))
    with pytest.raises(ModelError, match=r'is a detr .*it runs maskformer, mask2former'):
        load_dense(settings, TRUSTING, Runtime(torch.device('cpu')))


def test_masks_come_from_a_yolo26_that_needs_no_suppression(tmp_path: Path) -> None:
    from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
    from semantic_fast_sam_ros.core.settings.models import MaskSettings

    file = tiny.write_yolo26(tmp_path / 'yolo26.pt')
    settings = MaskSettings(image_size=64, confidence=0.3, iou=1.0)
    generator = FastSamGenerator(file, settings, Runtime(torch.device('cpu')))
    image = torch.randint(0, 255, (3, 48, 64), dtype=torch.uint8)
    with torch.inference_mode():
        found = generator.generate(image)
        batch = generator.detect([image])[0].batch
        (picked, _), _ = generator._network.network(batch)
    assert len(found) and found.masks.shape[1:] == (48, 64)
    best = picked[0, picked[0, :, 4] > 0.3]
    place = generator.detect([image])[0].place
    boxes = place.to_image(best[:, :4], (48, 64))
    assert all((boxes - box).abs().sum(1).min() < 0.01 for box in found.boxes)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
