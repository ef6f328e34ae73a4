"""Networks of the published shapes with random weights: their time does not depend on them."""

import json
from collections.abc import Sequence
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

# Backbone and head. The large one as shi-labs/oneformer_ade20k_swin_large has it.
ONEFORMER_SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    'swin-large': (
        {
            'image_size': 384,
            'embed_dim': 192,
            'depths': [2, 2, 18, 2],
            'num_heads': [6, 12, 24, 48],
            'window_size': 12,
        },
        {'num_queries': 250},
    ),
    'tiny': (  # for tests
        {'image_size': 64, 'embed_dim': 8, 'depths': [1] * 4, 'num_heads': [1] * 4},
        {
            **dict.fromkeys(('hidden_dim', 'mask_dim', 'conv_dim', 'text_encoder_width'), 32),
            **dict.fromkeys(('encoder_feedforward_dim', 'dim_feedforward'), 32),
            **dict.fromkeys(('encoder_layers', 'query_dec_layers'), 1),
            'decoder_layers': 2,
            'num_attention_heads': 2,
            'num_queries': 12,
            'text_encoder_vocab_size': 64,
        },
    ),
}


def write_fastsam(
    path: Path,
    scale: str | Sequence[float] = 'n',
    names: Sequence[str] = ('object',),
    spread: float = 0.2,
) -> Path:
    """Write a YOLOv8-seg checkpoint as ultralytics saves it; one class makes it a FastSAM.

    Args:
        path: of the file.
        scale: n, s, m, l or x, or depth, width and most channels.
        names: of the classes.
        spread: standard deviation of the weights that make scores, which so differ from place to
            place and let a threshold choose among them.
    """
    from ultralytics.nn.tasks import SegmentationModel

    network = yolo(SegmentationModel, 'v8/yolov8-seg.yaml', names, scale)
    for branch in network.model[-1].cv3:
        branch[-1].bias.data.fill_(0.0)
        branch[-1].weight.data.normal_(std=spread)
    return save_yolo(network, path, 'segment')


def yolo(kind: Any, config: str, names: Sequence[str], scale: str | Sequence[float]) -> Any:
    """Return an ultralytics network with random weights that keep the signal alive.

    Args:
        kind: a model class of ultralytics.nn.tasks.
        config: file below ultralytics/cfg/models.
        names: of the classes.
        scale: as in write_fastsam.
    """
    weights.silence_libraries()
    import ultralytics
    import yaml

    torch.manual_seed(0)
    folder = Path(ultralytics.__file__).parent / 'cfg' / 'models'
    body = yaml.safe_load((folder / config).read_text(encoding='utf-8'))
    body.update(nc=len(names), scale=scale)
    if not isinstance(scale, str):
        body.update(scales={'n': list(scale)}, scale='n')
    network = kind(body, verbose=False)
    network.names = dict(enumerate(names))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(0.05)
    return network


def save_yolo(network: Any, path: Path, task: str) -> Path:
    """Write a network of a task, such as 'segment', as ultralytics does."""
    network.task = task
    content = {'epoch': -1, 'model': network.half(), 'ema': None, 'train_args': {'task': task}}
    torch.save({**content, 'date': '2026-01-01', 'version': '8.4.0'}, path)
    return path


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


def write_semantic(path: Path, names: Sequence[str], scale: str | Sequence[float] = 'n') -> Path:
    """Write a YOLO26-sem checkpoint, ultralytics' semantic task; arguments as `write_fastsam`."""
    from ultralytics.nn.tasks import SemanticSegmentationModel

    network = yolo(SemanticSegmentationModel, '26/yolo26-sem.yaml', names, scale)
    network.model[-1].classifier[-1].weight.data.normal_(std=2.0)
    return save_yolo(network, path, 'semantic')


def write_segformer_b0(folder: Path, names: Sequence[str]) -> Path:
    """Write a SegFormer-B0, whose shape is that of transformers' defaults."""
    weights.silence_libraries()
    from transformers import (
        SegformerConfig,
        SegformerForSemanticSegmentation,
        SegformerImageProcessor,
    )

    torch.manual_seed(0)
    labels = dict(enumerate(names))
    config = SegformerConfig(id2label=labels, label2id={name: i for i, name in labels.items()})
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    SegformerImageProcessor(size={'height': 512, 'width': 512}).save_pretrained(folder)
    return folder


def write_oneformer(folder: Path, names: Sequence[str], shape: str = 'swin-large') -> Path:
    """Write a OneFormer of one of `ONEFORMER_SHAPES`, with a tokenizer that knows its task."""
    weights.silence_libraries()
    from transformers import (
        OneFormerConfig,
        OneFormerForUniversalSegmentation,
        OneFormerImageProcessor,
        SwinConfig,
    )

    torch.manual_seed(0)
    backbone, head = ONEFORMER_SHAPES[shape]
    stages = [f'stage{i}' for i in range(1, 5)]
    labels = dict(enumerate(names))
    config = OneFormerConfig(
        backbone_config=SwinConfig(**backbone, drop_path_rate=0.0, out_features=stages),
        **head,
        is_training=False,
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
    )
    OneFormerForUniversalSegmentation(config).eval().save_pretrained(folder)
    OneFormerImageProcessor(size={'shortest_edge': 640, 'longest_edge': 2560}).save_pretrained(
        folder
    )
    (folder / 'vocab.json').write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1}')
    (folder / 'merges.txt').write_text('#version: 0.2\n')
    (folder / 'tokenizer_config.json').write_text('{"tokenizer_class": "CLIPTokenizer"}')
    return folder


def write_clip(folder: Path, architecture: str) -> Path:
    """Write an open_clip model of its list, such as ViT-B-32, with random weights."""
    weights.silence_libraries()
    import open_clip as untyped_open_clip
    from safetensors.torch import save_file

    open_clip: Any = untyped_open_clip
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, pretrained=None)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / 'open_clip_model.safetensors', metadata={'format': 'pt'})
    keep = ('mean', 'std', 'interpolation', 'resize_mode')
    preprocess = {name: model.visual.preprocess_cfg[name] for name in keep}
    content = {'model_cfg': open_clip.get_model_config(architecture), 'preprocess_cfg': preprocess}
    (folder / 'open_clip_config.json').write_text(json.dumps(content), encoding='utf-8')
    return folder
