"""EoMT, also on DINOv3: images in squares, labels as its own processor puts them together."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from semantic_fast_sam_ros import SemanticFastSam
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.closed_set.hugging_face import TransformersSegmenter
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.settings.models import DenseSettings

CPU = Runtime(torch.device('cpu'))
WRITERS: dict[str, Callable[..., Path]] = {
    'eomt': tiny.write_eomt,
    'eomt_dinov3': tiny.write_eomt_dinov3,
}


def picture(height: int, width: int) -> Tensor:
    noise = np.random.default_rng(1).integers(0, 256, (3, height // 8, width // 8), np.uint8)
    return torch.from_numpy(noise.repeat(8, 1).repeat(8, 2))


def ranked(segmenter: TransformersSegmenter, image: Tensor, size: tuple[int, int]) -> Tensor:
    with torch.inference_mode():
        found = segmenter.segment(image).probabilities(size)
    torch.testing.assert_close(found.sum(0), torch.ones(size))
    return found


def equal_where_clear(ours: Tensor, theirs: Tensor) -> float:
    best, second = ours.sort(0, descending=True).values[:2]
    clear = best - second > 1e-4  # a random network leaves some pixels undecided
    assert clear.float().mean() > 0.5
    return float((ours.argmax(0) == theirs)[clear].float().mean())


@pytest.mark.parametrize('shape', [(64, 160), (160, 96), (64, 64)])
@pytest.mark.parametrize('family', WRITERS)
def test_labels_equal_transformers_own(
    family: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    segmenter = TransformersSegmenter(WRITERS[family](tmp_path), DenseSettings(), CPU)
    image, processor = picture(*shape), segmenter._processor
    prepared = processor(images=image, return_tensors='pt')
    with torch.inference_mode():
        output = segmenter._model(
            pixel_values=prepared['pixel_values'], patch_offsets=prepared['patch_offsets']
        )
    theirs = processor.post_process_semantic_segmentation(output, target_sizes=[shape])[0]
    assert segmenter.class_names == tiny.CLASSES
    assert len(theirs.unique()) > 1
    assert equal_where_clear(ranked(segmenter, image, shape), theirs) > 0.99


def test_a_panoptic_checkpoint_sees_the_image_without_what_fills_it_up(tmp_path: Path) -> None:
    segmenter = TransformersSegmenter(
        tiny.write_eomt(tmp_path, in_patches=False), DenseSettings(), CPU
    )
    wide = picture(64, 160)
    found = ranked(segmenter, wide, (64, 160))
    taller = torch.cat([wide, torch.zeros(3, 96, 160, dtype=torch.uint8)], 1)
    assert found.shape == (len(tiny.CLASSES), 64, 160)
    # The square that the processor fills up has black below, and so has this one.
    whole = ranked(segmenter, taller, (160, 160))[:, :64]
    assert (found.argmax(0) == whole.argmax(0)).float().mean() > 0.8


def test_another_size_than_the_published_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'leave dense\.image_size at 0'):
        TransformersSegmenter(tiny.write_eomt(tmp_path), DenseSettings(image_size=96), CPU)


def test_the_whole_pipeline_labels_with_one(street: np.ndarray, tmp_path: Path) -> None:
    segment = SemanticFastSam.from_profile(
        'embedded', dense__model=str(tiny.write_eomt_dinov3(tmp_path)), dense__image_size=0,
        vocabulary='', device='cpu',
    )  # fmt: skip
    assert segment(street).label_map.any()
