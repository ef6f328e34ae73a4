"""Write tiny, randomly initialised checkpoints in the formats of the real ones."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from semantic_fast_sam_ros.benchmarking import shapes

CLASSES = ('road', 'sky', 'car', 'tree', 'person')
FLOAT_BYTES = 4
SCALE = (0.33, 0.125, 128)  # depth, width, most channels of ultralytics' networks
SIDE = 64  # of the square that fixed-size networks take


def write_fastsam(path: Path, names: Sequence[str] = ('object',)) -> Path:
    """Write a YOLOv8-seg network; one class makes it a FastSAM. Scores spread round 0.5."""
    return shapes.write_fastsam(path, SCALE, names, spread=2.0)


def write_sizes(path: Path, names: Sequence[str]) -> Path:
    """Write a YOLOv8-seg network that sees another class on each of its three grids."""
    kept = torch.load(write_fastsam(path, names), weights_only=False)
    for index, branch in enumerate(kept['model'].model[-1].cv3):
        branch[-1].weight.data *= 1e-4  # enough for scores that differ
        branch[-1].bias.data.fill_(-1.0)[index] = 1.0
    torch.save(kept, path)
    return path


def write_yolo26(path: Path, names: Sequence[str] = ('object',)) -> Path:
    """Write a YOLO26-seg network, whose head picks by itself. Scores spread round 0.5."""
    from ultralytics.nn.tasks import SegmentationModel

    network = shapes.yolo(SegmentationModel, '26/yolo26-seg.yaml', names, SCALE)
    for branch in network.model[-1].one2one_cv3:
        branch[-1].bias.data.fill_(0.0)
        branch[-1].weight.data.normal_(std=2.0)
    network.model[-1].end2end = True
    return shapes.save_yolo(network, path, 'segment')


def write_semantic(path: Path, names: tuple[str, ...] = CLASSES) -> Path:
    """Write a network of ultralytics' semantic task, as yolo26n-sem.pt is one."""
    return shapes.write_semantic(path, names, SCALE)


def write_yoloe(path: Path, family: str = '26', one_to_one: bool = False) -> Path:
    """Write a YOLOE-seg network that waits for text vectors of 512 values."""
    from ultralytics.nn.tasks import YOLOESegModel

    network = shapes.yolo(YOLOESegModel, f'{family}/yoloe-{family}-seg.yaml', ('a', 'b'), SCALE)
    head = network.model[-1]
    for branch in (*head.cv4, *getattr(head, 'one2one_cv4', ())):  # scores spread round 0.5
        branch.bias.data.fill_(0.0)
    norms = [m for m in network.eval().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():  # takes the statistics of this image over, so that signals stay alive
        network.predict(torch.rand(1, 3, 128, 160), vpe=torch.rand(1, 2, 512))
    for norm in norms:
        norm.eval()
    if one_to_one:
        head.end2end = True
    return shapes.save_yolo(network, path, 'segment')


def write_yoloe_text(path: Path, values: int = 512) -> Path:
    """Write a text encoder as TorchScript, as mobileclip2_b.ts is one."""

    class Text(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(49408, values)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            words = self.embedding(tokens).mean(1)
            return words / words.norm(dim=1, keepdim=True)

    torch.manual_seed(2)
    torch.jit.trace(Text().eval(), torch.zeros((1, 77), dtype=torch.int32)).save(path)
    return path


class Intruder:
    """Unpickled, it would leave a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f'open({str(self.mark)!r}, "w").close()',)


def write_segformer(folder: Path, names: Sequence[str] = CLASSES, hidden_bytes: int = 0) -> Path:
    """Write a SegFormer whose processor squeezes the image to a fixed size.

    Args:
        folder: to write to.
        names: of its classes.
        hidden_bytes: about what its weights should take; 0: as little as can be.
    """
    from transformers import (
        SegformerConfig,
        SegformerForSemanticSegmentation,
        SegformerImageProcessor,
    )

    config = SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        mlp_ratios=[4, 4, 4, max(4, hidden_bytes // FLOAT_BYTES // (2 * 16 * 16))],
        decoder_hidden_size=16,
        **_labels(names),
    )
    size = {'height': 48, 'width': 96}
    processor = SegformerImageProcessor(size=size)
    return _save(SegformerForSemanticSegmentation(config), processor, folder)


def write_upernet(folder: Path) -> Path:
    """Write an UperNet over ConvNeXt."""
    from transformers import (
        ConvNextConfig,
        SegformerImageProcessor,
        UperNetConfig,
        UperNetForSemanticSegmentation,
    )

    backbone = ConvNextConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        out_features=['stage1', 'stage2', 'stage3', 'stage4'],
    )
    config = UperNetConfig(
        backbone_config=backbone, hidden_size=16, use_auxiliary_head=False, **_labels()
    )
    size = {'height': SIDE, 'width': SIDE}
    processor = SegformerImageProcessor(size=size)
    return _save(UperNetForSemanticSegmentation(config), processor, folder)


def write_mobilenet(folder: Path) -> Path:
    """Write a MobileNetV2 + DeepLabV3+ whose processor cuts out the centre, as the hub's do."""
    from transformers import (
        MobileNetV2Config,
        MobileNetV2ForSemanticSegmentation,
        MobileNetV2ImageProcessor,
    )

    config = MobileNetV2Config(depth_multiplier=0.25, **_labels())
    processor = MobileNetV2ImageProcessor(
        size={'shortest_edge': SIDE}, crop_size={'height': SIDE, 'width': SIDE}
    )
    return _save(MobileNetV2ForSemanticSegmentation(config), processor, folder)


def write_dpt(folder: Path) -> Path:
    """Write a DPT over a plain vision transformer."""
    from transformers import DPTConfig, DPTForSemanticSegmentation, DPTImageProcessor

    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIDE,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        use_auxiliary_head=False,
        **_labels(),
    )
    size = {'height': SIDE, 'width': SIDE}
    return _save(DPTForSemanticSegmentation(config), DPTImageProcessor(size=size), folder)


def write_beit(folder: Path) -> Path:
    """Write a BEiT, which takes images of one size only."""
    from transformers import BeitConfig, BeitForSemanticSegmentation, BeitImageProcessor

    config = BeitConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIDE,
        patch_size=16,
        out_indices=[1, 2, 3, 4],
        pool_scales=[1, 2],
        use_relative_position_bias=True,
        use_auxiliary_head=False,
        **_labels(),
    )
    processor = BeitImageProcessor(size={'height': SIDE, 'width': SIDE}, do_center_crop=False)
    return _save(BeitForSemanticSegmentation(config), processor, folder)


def write_maskformer(folder: Path) -> Path:
    """Write a MaskFormer over Swin."""
    from transformers import (
        DetrConfig,
        MaskFormerConfig,
        MaskFormerForInstanceSegmentation,
        MaskFormerImageProcessor,
    )

    decoder = DetrConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=12,
    )
    config = MaskFormerConfig(
        backbone_config=_swin(),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        **_labels(),
    )
    processor = MaskFormerImageProcessor(size=_shortest(), num_labels=len(CLASSES))
    return _save(MaskFormerForInstanceSegmentation(config), processor, folder)


def write_mask2former(folder: Path) -> Path:
    """Write a Mask2Former over Swin."""
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
    )

    config = Mask2FormerConfig(backbone_config=_swin(), **_decoder(), **_labels())
    processor = Mask2FormerImageProcessor(size=_shortest(), num_labels=len(CLASSES))
    return _save(Mask2FormerForUniversalSegmentation(config), processor, folder)


def write_oneformer(folder: Path) -> Path:
    """Write a OneFormer with tokenizer and, as the hub's, class names kept elsewhere."""
    from transformers import (
        OneFormerConfig,
        OneFormerForUniversalSegmentation,
        OneFormerImageProcessor,
    )

    task = {'task_seq_len': 10, 'use_task_norm': True}
    text = {'text_encoder_width': 16, 'text_encoder_vocab_size': 64, 'is_training': False}
    config = OneFormerConfig(
        backbone_config=_swin(),
        conv_dim=32,
        query_dec_layers=1,
        common_stride=4,
        **_decoder(),
        **task,
        **text,
        **_labels(),
    )
    processor = OneFormerImageProcessor(size=_shortest())
    _save(OneFormerForUniversalSegmentation(config), processor, folder)
    change_json(
        folder / 'preprocessor_config.json',
        class_info_file='classes.json',
        repo_path='nobody/classes',
        num_text=4,
    )
    write_tokenizer(folder)
    return folder


def write_eomt(folder: Path, in_patches: bool = True) -> Path:
    """Write an EoMT as the semantic checkpoints are, or as the panoptic ones (not in patches)."""
    from transformers import EomtConfig, EomtForUniversalSegmentation

    config = EomtConfig(mlp_ratio=2, **_eomt(), **_labels())
    return _save(EomtForUniversalSegmentation(config), _eomt_processor(in_patches), folder)


def write_eomt_dinov3(folder: Path) -> Path:
    """Write an EoMT over DINOv3."""
    from transformers import EomtDinov3Config, EomtDinov3ForUniversalSegmentation

    config = EomtDinov3Config(intermediate_size=64, **_eomt(), **_labels())
    return _save(EomtDinov3ForUniversalSegmentation(config), _eomt_processor(True), folder)


def _eomt() -> dict[str, Any]:
    return {
        'hidden_size': 32,
        'num_hidden_layers': 3,
        'num_attention_heads': 2,
        'image_size': SIDE,
        'patch_size': 16,
        'num_blocks': 1,
        'num_upscale_blocks': 1,
        'num_queries': 12,
        'num_register_tokens': 1,
    }


def _eomt_processor(in_patches: bool) -> Any:
    from transformers import EomtImageProcessor

    size = {'shortest_edge': SIDE, 'longest_edge': None if in_patches else SIDE}
    return EomtImageProcessor(size=size, do_split_image=in_patches, do_pad=not in_patches)


def write_tokenizer(folder: Path) -> None:
    """Write a CLIP tokenizer that knows whole words."""
    words = ['the</w>', 'task</w>', 'is</w>', 'semantic</w>']
    pieces, merges = [], []
    for word in words:
        letters = [*word[: -len('</w>') - 1], word[-len('</w>') - 1 :]]
        pieces += letters
        while len(letters) > 1:
            merges.append(f'{letters[0]} {letters[1]}')
            letters = [letters[0] + letters[1], *letters[2:]]
            pieces.append(letters[0])
    tokens = ['<|startoftext|>', '<|endoftext|>', *dict.fromkeys(pieces)]
    (folder / 'vocab.json').write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / 'merges.txt').write_text('\n'.join(['#version: 0.2', *dict.fromkeys(merges)]))
    (folder / 'tokenizer_config.json').write_text(json.dumps({'tokenizer_class': 'CLIPTokenizer'}))


def change_json(file: Path, **values: object) -> None:
    """Set keys of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


FAMILIES: dict[str, Callable[[Path], Path]] = {
    'segformer': write_segformer,
    'upernet': write_upernet,
    'mobilenet_v2': write_mobilenet,
    'dpt': write_dpt,
    'beit': write_beit,
    'maskformer': write_maskformer,
    'mask2former': write_mask2former,
    'oneformer': write_oneformer,
}


def _labels(names: Sequence[str] = CLASSES) -> dict[str, Any]:
    torch.manual_seed(1)
    return {'id2label': dict(enumerate(names)), 'label2id': {n: i for i, n in enumerate(names)}}


def _swin() -> Any:
    from transformers import SwinConfig

    return SwinConfig(
        image_size=SIDE,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        drop_path_rate=0.0,
        out_features=['stage1', 'stage2', 'stage3', 'stage4'],
    )


def _decoder() -> dict[str, Any]:
    return {
        'hidden_dim': 32,
        'mask_feature_size': 32,
        'mask_dim': 32,
        'feature_size': 32,
        'num_attention_heads': 2,
        'encoder_layers': 1,
        'decoder_layers': 2,
        'encoder_feedforward_dim': 32,
        'dim_feedforward': 32,
        'num_queries': 12,
        'train_num_points': 16,
    }


def _shortest() -> dict[str, int]:
    return {'shortest_edge': SIDE, 'longest_edge': 4 * SIDE}


def _save(model: Any, processor: Any, folder: Path) -> Path:
    """Save model and processor; weights spread enough that pixels differ in their class."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and 'position' not in name:
                weight.normal_(std=2 / weight[0].numel() ** 0.5)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
