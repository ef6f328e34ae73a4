"""Write a tiny open_clip model with random weights, in the format of the real ones."""

import json
from pathlib import Path

import torch

SIDE = 32
MODEL = {
    'embed_dim': 16,
    'vision_cfg': {
        'image_size': SIDE,
        'layers': 2,
        'width': 32,
        'head_width': 16,
        'patch_size': 8,
    },
    'text_cfg': {'context_length': 24, 'vocab_size': 49408, 'width': 16, 'heads': 2, 'layers': 1},
}
# Not what open_clip takes by itself, so that a model's own preprocessing is seen to be used.
PREPROCESS = {'mean': [0.4, 0.5, 0.6], 'std': [0.2, 0.25, 0.3], 'resize_mode': 'squash'}


def write_clip(folder: Path, seed: int = 0) -> Path:
    """Write an open_clip folder; weights spread enough that images differ in their class."""
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    model = CLIP(**MODEL)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and 'positional' not in name:
                weight.normal_(std=1.5 / weight[0].numel() ** 0.5)
        model.token_embedding.weight.normal_(std=1.0)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / 'open_clip_model.safetensors', metadata={'format': 'pt'})
    config = {'model_cfg': MODEL, 'preprocess_cfg': PREPROCESS}
    (folder / 'open_clip_config.json').write_text(json.dumps(config))
    return folder
