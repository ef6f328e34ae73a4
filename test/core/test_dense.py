"""Each family of dense segmenters must say what its own library says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.config import DenseSettings
from semantic_fast_sam_ros.core.dense import TransformersSegmenter, load_dense
from semantic_fast_sam_ros.core.errors import ModelError
from semantic_fast_sam_ros.core.weights import Policy

CPU = torch.device('cpu')
OWN_SIZE = DenseSettings(image_size=0)


@pytest.mark.parametrize('family', sorted(tiny.FAMILIES))
def test_a_family_gives_class_probabilities(
    family: str, tiny_folder: Callable[[str], Path], street_tensor: Tensor
) -> None:
    segmenter = TransformersSegmenter(tiny_folder(family), OWN_SIZE, CPU, torch.float32)
    with torch.inference_mode():
        probabilities = segmenter.segment(street_tensor).probabilities((80, 60))
    assert segmenter.class_names == tiny.CLASSES
    assert probabilities.shape == (len(tiny.CLASSES), 80, 60)
    torch.testing.assert_close(probabilities.sum(0), torch.ones(80, 60))
    assert probabilities.flatten(1).std(1).max() > 1e-4  # it looked at the image


@pytest.mark.parametrize('family', ['segformer', 'upernet', 'dpt', 'mask2former', 'maskformer'])
def test_labels_equal_transformers_own_post_processing(
    family: str, tiny_folder: Callable[[str], Path], street_tensor: Tensor
) -> None:
    folder = tiny_folder(family)
    segmenter = TransformersSegmenter(folder, OWN_SIZE, CPU, torch.float32)
    size = (80, 60)
    with torch.inference_mode():
        ranked = segmenter.segment(street_tensor).probabilities(size).sort(0, descending=True)
        pixels = segmenter._processor(images=street_tensor, return_tensors='pt')['pixel_values']
        output = segmenter._model(pixel_values=pixels)
        theirs = segmenter._processor.post_process_semantic_segmentation(
            output, target_sizes=[size]
        )[0]
    best, second = ranked.values[:2]
    clear = best - second > 1e-4  # a random network leaves some pixels undecided
    assert clear.float().mean() > 0.5
    assert (ranked.indices[0] == theirs)[clear].float().mean() > 0.99


def test_an_ultralytics_network_agrees_with_ultralytics(
    tiny_checkpoints: dict[str, Path], street: np.ndarray, street_tensor: Tensor
) -> None:
    from ultralytics import YOLO

    settings = DenseSettings(model=str(tiny_checkpoints['semantic']), image_size=0)
    segmenter = load_dense(settings, Policy(trust_model_files=True), CPU, torch.float32)
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
        TransformersSegmenter(tmp_path, OWN_SIZE, CPU, torch.float32)
