"""Write tiny, randomly initialised networks that know text, in the formats of the real ones."""

from pathlib import Path
from typing import Any

import torch

SIDE = 64


def write_tokenizer(folder: Path) -> None:
    """Write a CLIP tokenizer of single letters."""
    from transformers import CLIPTokenizer

    letters = [chr(i) for i in range(97, 123)] + ['.']
    tokens = ['<|startoftext|>', '<|endoftext|>', *letters, *(f'{x}</w>' for x in letters)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)


def text_config() -> dict[str, Any]:
    """Return a small text tower whose end token is the tokenizer's."""
    return {
        'vocab_size': 64,
        'hidden_size': 16,
        'intermediate_size': 32,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'max_position_embeddings': 24,
        'bos_token_id': 0,
        'eos_token_id': 1,
        'pad_token_id': 1,
    }


def spread(model: Any) -> Any:
    """Make random weights large enough that classes differ."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and 'position' not in name:
                weight.normal_(std=1.5 / weight[0].numel() ** 0.5)
    return model.eval()


def write_clipseg(folder: Path, side: int = SIDE) -> Path:
    """Write a CLIPSeg."""
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, ViTImageProcessor

    torch.manual_seed(0)
    config = CLIPSegConfig(
        text_config=text_config(),
        vision_config={
            'hidden_size': 16,
            'intermediate_size': 32,
            'num_hidden_layers': 3,
            'num_attention_heads': 2,
            'image_size': side,
            'patch_size': 16,
        },
        projection_dim=16,
        extract_layers=[0, 1, 2],
        reduce_dim=8,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )
    spread(CLIPSegForImageSegmentation(config)).save_pretrained(folder)
    ViTImageProcessor(size={'height': side, 'width': side}).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_groupvit(folder: Path) -> Path:
    """Write a GroupViT."""
    from transformers import GroupViTConfig, GroupViTModel, ViTImageProcessor

    torch.manual_seed(0)
    config = GroupViTConfig(
        text_config=text_config(),
        vision_config={
            'hidden_size': 16,
            'intermediate_size': 32,
            'depths': [1, 1],
            'num_hidden_layers': 2,
            'num_group_tokens': [8, 0],
            'num_output_groups': [8, 4],
            'num_attention_heads': 2,
            'image_size': SIDE,
            'patch_size': 16,
        },
        projection_dim=16,
        projection_intermediate_dim=16,
    )
    spread(GroupViTModel(config)).save_pretrained(folder)
    ViTImageProcessor(size={'height': SIDE, 'width': SIDE}).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


# Words that a tiny BLIP may say, in no order that makes sense.
_WORDS = 'a the on with and two red dog dogs car road tree trees bus man light traffic street sky'
WORDS = _WORDS.split()


def write_blip(folder: Path, side: int = SIDE, seed: int = 0) -> Path:
    """Write a BLIP for captions that says WORDS."""
    from transformers import (
        BertTokenizer,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
    )

    special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '[DEC]']
    tokens = {token: i for i, token in enumerate([*special, *WORDS])}
    shape = {'hidden_size': 16, 'intermediate_size': 32, 'num_hidden_layers': 2}
    torch.manual_seed(seed)
    config = BlipConfig(
        text_config={
            **shape,
            'encoder_hidden_size': 16,
            'num_attention_heads': 2,
            'projection_dim': 16,
            'vocab_size': len(tokens),
            'max_position_embeddings': 32,
            'bos_token_id': tokens['[DEC]'],
            'eos_token_id': tokens['[SEP]'],
            'sep_token_id': tokens['[SEP]'],
            'pad_token_id': tokens['[PAD]'],
        },
        vision_config={
            **shape,
            'num_attention_heads': 2,
            'image_size': side,
            'patch_size': 16,
        },
    )
    spread(BlipForConditionalGeneration(config)).save_pretrained(folder)
    BlipImageProcessor(size={'height': side, 'width': side}).save_pretrained(folder)
    BertTokenizer(vocab=tokens).save_pretrained(folder)
    return folder
