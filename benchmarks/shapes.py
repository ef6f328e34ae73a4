"""Networks of the published shapes with random weights: their time does not depend on them."""

from pathlib import Path
from typing import Any

import torch

from semantic_fast_sam_ros.core.networks import weights

SAM_SHAPES: dict[str, dict[str, Any]] = {
    'vit-b': {},  # the defaults of transformers' SamVisionConfig
    'vit-h': {
        'hidden_size': 1280,
        'num_hidden_layers': 32,
        'num_attention_heads': 16,
        'global_attn_indexes': [7, 15, 23, 31],
    },
    'tiny': {  # for tests
        'hidden_size': 32,
        'num_hidden_layers': 2,
        'num_attention_heads': 2,
        'global_attn_indexes': [1],
        'image_size': 64,
        'window_size': 2,
    },
}


def write_fastsam(path: Path, scale: str) -> Path:
    """Write a YOLOv8-seg checkpoint with the one class of FastSAM, of scale n, s, m, l or x."""
    weights.silence_libraries()
    import ultralytics
    import yaml
    from ultralytics.nn.tasks import SegmentationModel

    torch.manual_seed(0)
    config = Path(ultralytics.__file__).parent / 'cfg' / 'models' / 'v8' / 'yolov8-seg.yaml'
    body = yaml.safe_load(config.read_text(encoding='utf-8'))
    network: Any = SegmentationModel({**body, 'scale': scale, 'nc': 1}, verbose=False)
    network.names, network.task = {0: 'object'}, 'segment'
    _spread(network)
    content = {'model': network.half(), 'ema': None, 'epoch': -1, 'date': '', 'version': ''}
    torch.save({**content, 'train_args': {'task': 'segment'}}, path)
    return path


def _spread(network: Any) -> None:
    """Let scores differ from place to place, so that a threshold chooses among them."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(0.05)
    for branch in network.model[-1].cv3:
        branch[-1].bias.data.fill_(0.0)
        branch[-1].weight.data.normal_(std=0.2)


def sam(shape: str) -> Any:
    """Return a SamModel of a shape, with its processor: (model, processor)."""
    weights.silence_libraries()
    from transformers import (
        SamConfig,
        SamImageProcessor,
        SamMaskDecoderConfig,
        SamModel,
        SamPromptEncoderConfig,
        SamVisionConfig,
    )

    torch.manual_seed(0)
    vision = SamVisionConfig(**SAM_SHAPES[shape])
    prompt = SamPromptEncoderConfig(
        hidden_size=vision.output_channels,
        image_size=vision.image_size,
        image_embedding_size=vision.image_size // vision.patch_size,
    )
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config=prompt,
        mask_decoder_config=SamMaskDecoderConfig(),
    )
    side = vision.image_size
    processor = SamImageProcessor(
        size={'longest_edge': side}, pad_size={'height': side, 'width': side}
    )
    with torch.device('meta'):  # transformers' own initialisation takes a minute for ViT-H
        model = SamModel(config).eval()
    model.to_empty(device='cpu')
    for values in (*model.parameters(), *model.buffers()):
        torch.nn.init.normal_(values, std=0.02)
    return model, processor
