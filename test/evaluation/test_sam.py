"""SAM, SAM 2 and EdgeTAM propose masks, each from a tiny checkpoint in the published format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.evaluation.sources import SamGenerator

weights.silence_libraries()
SIDE = 64
CPU = torch.device('cpu')
PROMPTS = {'hidden_size': 32, 'image_size': SIDE, 'patch_size': 16, 'mask_input_channels': 4}
DECODER = {
    'hidden_size': 32,
    'mlp_dim': 32,
    'num_attention_heads': 2,
    'iou_head_hidden_dim': 16,
}


def sam() -> tuple[Any, Any]:
    from transformers import SamConfig, SamImageProcessor, SamModel

    vision = {
        'hidden_size': 32,
        'output_channels': 32,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'image_size': SIDE,
        'mlp_dim': 32,
        'num_pos_feats': 16,
        'global_attn_indexes': [0],
        'window_size': 2,
    }
    config = SamConfig(
        vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    low = {'height': SIDE // 4, 'width': SIDE // 4}
    square = {'height': SIDE, 'width': SIDE}
    processor = SamImageProcessor(
        size={'longest_edge': SIDE}, mask_size={'longest_edge': SIDE // 4}, pad_size=square,
        mask_pad_size=low,
    )  # fmt: skip
    return SamModel(config), processor


def second_processor() -> Any:
    from transformers import Sam2ImageProcessor

    square, low = ({'height': n, 'width': n} for n in (SIDE, SIDE // 4))
    return Sam2ImageProcessor(size=square, mask_size=low)


SIZES = [[SIDE // stride] * 2 for stride in (4, 8, 16)]


def sam2() -> tuple[Any, Any]:
    from transformers import Sam2Config, Sam2Model

    widths = [8, 16, 32, 64]
    backbone = {
        'model_type': 'sam2_hiera_det_model',
        'hidden_size': 8,
        'image_size': [SIDE, SIDE],
        'blocks_per_stage': [1, 1, 2, 1],
        'embed_dim_per_stage': widths,
        'num_attention_heads_per_stage': [1, 1, 2, 2],
        'window_size_per_stage': [4, 2, 2, 2],
        'global_attention_blocks': [3],
    }
    vision = {
        'model_type': 'sam2_vision_model',
        'backbone_config': backbone,
        'backbone_channel_list': widths[::-1],
        'backbone_feature_sizes': SIZES,
        'fpn_hidden_size': 32,
    }
    config = Sam2Config(
        vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    return Sam2Model(config), second_processor()


def edgetam() -> tuple[Any, Any]:
    from transformers import EdgeTamConfig, EdgeTamModel

    backbone = {
        'model_type': 'timm_wrapper',
        'num_classes': 2,
        'architecture': 'repvit_m1',
        'model_args': {'in_chans': 3, 'features_only': True, 'out_indices': [0, 1, 2, 3]},
    }
    vision = {
        'model_type': 'edgetam_vision_model',
        'backbone_config': backbone,
        'backbone_channel_list': [384, 192, 96, 48],
        'backbone_feature_sizes': SIZES,
        'fpn_hidden_size': 32,
    }
    config = EdgeTamConfig(
        vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    return EdgeTamModel(config), second_processor()


@pytest.mark.parametrize('write', [sam, sam2, edgetam])
def test_masks_come_from_each_family(write: Callable[[], tuple[Any, Any]], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, processor = write()
    # A random network is not sure enough of its masks, and their borders are not sharp enough.
    decoder = model.mask_decoder
    decoder.iou_prediction_head.proj_out.bias.data.fill_(3.0)
    for branch in decoder.output_hypernetworks_mlps:
        branch.proj_out.weight.data *= 1e7
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 48, 80), np.uint8))
    found = SamGenerator(tmp_path, CPU).generate(image)
    assert len(found) > 0
    assert tuple(found.masks.shape[1:]) == (48, 80)
    assert found.scores.min() >= 0 and found.scores.max() <= 1
    assert found.masks.flatten(1).any(1).all()


def test_another_model_is_refused(tmp_path: Path) -> None:
    import tiny

    with pytest.raises(ModelError, match='cannot load SAM from'):
        SamGenerator(tiny.write_segformer(tmp_path), CPU)
