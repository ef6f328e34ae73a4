"""Each family of dense segmenters must say what its own library says."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.closed_set.dense import load_dense
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.hugging_face import TransformersSegmenter
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings.models import DenseSettings

CPU = Runtime(torch.device('cpu'))
OWN_SIZE = DenseSettings(image_size=0)


@pytest.mark.parametrize('family', sorted(tiny.FAMILIES))
def test_a_family_gives_class_probabilities(
    family: str, tiny_folder: Callable[[str], Path], street_tensor: Tensor
) -> None:
    segmenter = TransformersSegmenter(tiny_folder(family), OWN_SIZE, CPU)
    with torch.inference_mode():
        probabilities = segmenter.segment(street_tensor).probabilities((80, 60))
    assert segmenter.class_names == tiny.CLASSES
    assert probabilities.shape == (len(tiny.CLASSES), 80, 60)
    torch.testing.assert_close(probabilities.sum(0), torch.ones(80, 60))
    assert probabilities.flatten(1).std(1).max() > 1e-4  # it looked at the image


@pytest.mark.parametrize('image_size', [0, 96])
@pytest.mark.parametrize('family', sorted(tiny.FAMILIES))
def test_labels_equal_transformers_own_post_processing(
    family: str, image_size: int, tiny_folder: Callable[[str], Path], street_tensor: Tensor
) -> None:
    settings = DenseSettings(image_size=image_size)
    segmenter = TransformersSegmenter(tiny_folder(family), settings, CPU)
    size = (80, 60)
    with torch.inference_mode():
        ranked = segmenter.segment(street_tensor).probabilities(size).sort(0, descending=True)
        output = segmenter._model(
            pixel_values=segmenter._preprocess(street_tensor), **segmenter._task_inputs
        )
        theirs = segmenter._processor.post_process_semantic_segmentation(
            output, target_sizes=[size]
        )[0]
    best, second = ranked.values[:2]
    clear = best - second > 1e-4  # a random network leaves some pixels undecided
    assert clear.float().mean() > 0.5
    assert (ranked.indices[0] == theirs)[clear].float().mean() > 0.99


@pytest.mark.parametrize('family', sorted(set(tiny.FAMILIES) - {'mobilenet_v2'}))
def test_a_network_gets_what_its_own_processor_makes(
    family: str, tiny_folder: Callable[[str], Path], street: np.ndarray, street_tensor: Tensor
) -> None:
    from transformers import AutoImageProcessor

    segmenter = TransformersSegmenter(tiny_folder(family), OWN_SIZE, CPU)
    named = {'class_info_file': None} if family == 'oneformer' else {}
    theirs = AutoImageProcessor.from_pretrained(tiny_folder(family), **named)
    expected = theirs(images=street, return_tensors='pt')['pixel_values']
    torch.testing.assert_close(segmenter._preprocess(street_tensor), expected)


def test_the_whole_image_is_seen_where_a_processor_would_cut_out_its_centre(
    tiny_folder: Callable[[str], Path],
) -> None:
    segmenter = TransformersSegmenter(tiny_folder('mobilenet_v2'), OWN_SIZE, CPU)
    wide = torch.zeros((3, 60, 240), dtype=torch.uint8)
    assert tuple(segmenter._preprocess(wide).shape[2:]) == (tiny.SIDE, 4 * tiny.SIDE)


@pytest.mark.parametrize(
    ('family', 'shape', 'given'),
    [
        ('segformer', (480, 640), (96, 128)),
        ('segformer', (640, 480), (128, 96)),
        ('segformer', (100, 333), (96, 320)),
        ('beit', (480, 660), (96, 128)),  # whole patches of 16
        ('upernet', (480, 600), (96, 128)),  # whole samples of the deepest stage
        ('dpt', (480, 640), (96, 96)),  # takes squares only
        ('segformer', (2, 4000), (8, 4096)),  # bounded, however long
    ],
)
def test_the_size_of_the_settings_keeps_the_aspect(
    family: str,
    shape: tuple[int, int],
    given: tuple[int, int],
    tiny_folder: Callable[[str], Path],
) -> None:
    settings = DenseSettings(image_size=96)
    segmenter = TransformersSegmenter(tiny_folder(family), settings, CPU)
    image = torch.zeros((3, *shape), dtype=torch.uint8)
    assert tuple(segmenter._preprocess(image).shape[2:]) == given


@pytest.mark.parametrize('family', ['segformer', 'upernet', 'beit'])
def test_swapped_colours_give_other_labels(
    family: str, tiny_folder: Callable[[str], Path], street_tensor: Tensor
) -> None:
    segmenter = TransformersSegmenter(tiny_folder(family), OWN_SIZE, CPU)
    with torch.inference_mode():
        right, swapped = (
            segmenter.segment(image).probabilities((80, 60)).argmax(0)
            for image in (street_tensor, street_tensor.flip(0))
        )
    assert (right != swapped).float().mean() > 0.01


def test_pixels_that_no_query_claims_are_undecided() -> None:
    scores = torch.zeros((4, 2, 3))
    scores[2, 0, 0] = 0.5
    probabilities = DenseMap(scores, are_logits=False).probabilities((2, 3))
    torch.testing.assert_close(probabilities.sum(0), torch.ones(2, 3))
    assert probabilities[2, 0, 0] > 0.99
    torch.testing.assert_close(probabilities[:, 1, 1], torch.full((4,), 0.25))


def test_an_ultralytics_network_agrees_with_ultralytics(
    tiny_checkpoints: dict[str, Path], street: np.ndarray, street_tensor: Tensor
) -> None:
    from ultralytics import YOLO

    settings = DenseSettings(model=str(tiny_checkpoints['semantic']), image_size=0)
    segmenter = load_dense(settings, Policy(trust_model_files=True), CPU)
    with torch.inference_mode():
        ours = segmenter.segment(street_tensor).probabilities(street.shape[:2]).argmax(0).numpy()
    bgr = np.ascontiguousarray(street[..., ::-1])
    result = YOLO(str(tiny_checkpoints['semantic']))(bgr, imgsz=640, verbose=False)[0]
    theirs = np.asarray(result.semantic_mask.data).squeeze()
    assert segmenter.class_names == tiny.CLASSES
    assert (ours == theirs).mean() > 0.97


def test_a_folder_without_a_segmenter_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'config.json').write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    with pytest.raises(ModelError, match='BertModel'):
        TransformersSegmenter(tmp_path, OWN_SIZE, CPU)


@pytest.mark.parametrize('image_size', [0, 320, 640])
def test_an_ultralytics_networks_size_is_the_shorter_side(
    image_size: int, tiny_checkpoints: dict[str, Path]
) -> None:
    settings = DenseSettings(model=str(tiny_checkpoints['semantic']), image_size=image_size)
    segmenter = load_dense(settings, Policy(trust_model_files=True), CPU)
    with torch.inference_mode():
        found = segmenter.segment(torch.zeros((3, 200, 400), dtype=torch.uint8))
    height, step = image_size or 320, 8  # the network speaks on an eighth of its input's grid
    assert tuple(found.scores.shape[1:]) == (height // step, 2 * height // step)


def test_a_mask_network_is_no_dense_branch(tiny_checkpoints: dict[str, Path]) -> None:
    settings = DenseSettings(model=str(tiny_checkpoints['segment']))
    with pytest.raises(ModelError, match="task 'segment', not 'semantic'"):
        load_dense(settings, Policy(trust_model_files=True), CPU)


@pytest.fixture
def copy(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny SegFormer that a test may damage."""
    return Path(shutil.copytree(tiny_folder('segformer'), tmp_path / 'segformer'))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as refused:
        TransformersSegmenter(folder, OWN_SIZE, CPU)
    assert str(folder) in str(refused.value)
    return str(refused.value)


def test_a_folder_without_its_processor_is_refused(copy: Path) -> None:
    (copy / 'preprocessor_config.json').unlink()
    assert 'preprocessor' in refusal(copy)


def test_weights_cut_off_are_refused(copy: Path) -> None:
    whole = (copy / 'model.safetensors').read_bytes()
    (copy / 'model.safetensors').write_bytes(whole[: len(whole) // 2])
    assert 'cannot load' in refusal(copy)


def test_weights_that_are_missing_are_refused(copy: Path) -> None:
    (copy / 'model.safetensors').unlink()
    assert 'model.safetensors' in refusal(copy)


def test_a_pickle_in_a_folder_does_not_run(copy: Path, tmp_path: Path) -> None:
    (copy / 'model.safetensors').unlink()
    mark = tmp_path / 'it_ran'
    torch.save({'weight': tiny.Intruder(mark)}, copy / 'pytorch_model.bin')
    refusal(copy)
    assert not mark.exists()


def test_code_in_a_folder_does_not_run_nor_ask(copy: Path, tmp_path: Path) -> None:
    mark = tmp_path / 'it_ran'
    (copy / 'own.py').write_text(f'open({str(mark)!r}, "w").close()')
    tiny.change_json(
        copy / 'config.json', model_type='own', auto_map={'AutoConfig': 'own.OwnConfig'}
    )
    refusal(copy)
    assert not mark.exists()
