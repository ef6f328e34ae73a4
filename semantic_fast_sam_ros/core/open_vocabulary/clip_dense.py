"""Open vocabulary by dense CLIP features: one image pass, pooled in each mask (MaskCLIP)."""

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary


class ClipDenseLabeller(ClipLabeller):
    """Name each mask by the mean CLIP feature of its pixels."""

    def __init__(self, model: ClipModel, vocabulary: Vocabulary, config: Config) -> None:
        """Encode the vocabulary.

        Raises:
            ModelError: the image tower has no dense features.
        """
        require_dense(model.network.visual)
        super().__init__(model, vocabulary, config)

    def encode(self, image: Tensor, proposals: MaskProposals) -> Tensor:
        """Return the unit vectors of the masks, (N, dim) float32."""
        size = (self.model.size, self.model.size)
        squashed = functional.interpolate(
            image[None].float(), size, mode='bilinear', antialias=True
        )
        features = dense_features(self.model.network.visual, self.model.normalise(squashed))
        return functional.normalize(pool(features[0].float(), proposals.masks), dim=1)


def dense_features(visual: Any, pixels: Tensor) -> Tensor:
    """Return the features of all places of normalised images, (B, dim, h, w).

    Of a vision transformer the values of the last attention block, projected as the class token
    is (MaskCLIP; Zhou et al., ECCV 2022, section 3.2); of a convolutional trunk the features that
    its pooling averages, projected one by one.
    """
    if _is_transformer(visual):
        return _value_features(visual, pixels)
    features = visual.trunk.forward_features(pixels)
    batch, channels, height, width = features.shape
    places = features.movedim(1, -1).reshape(-1, channels, 1, 1)
    vectors: Tensor = visual.head(visual.trunk.forward_head(places))
    return vectors.reshape(batch, height, width, -1).movedim(-1, 1)


def pool(features: Tensor, masks: Tensor) -> Tensor:
    """Average features (dim, h, w) over masks (N, H, W), by the share of each place they cover."""
    grid = (features.shape[1], features.shape[2])
    if not len(masks):
        return features.new_zeros((0, features.shape[0]))
    # Kept apart by mask: the average over a place's pixels is the share of it that is inside.
    shares = functional.adaptive_avg_pool2d(masks[:, None].to(features.dtype), grid).flatten(1)
    return (shares @ features.flatten(1).T) / shares.sum(1, keepdim=True).clamp_min(1e-6)


def require_dense(visual: Any) -> None:
    """Refuse image towers whose features cannot be read place by place.

    Raises:
        ModelError: it is neither an open_clip ViT nor a pooled convolutional timm trunk.
    """
    if _is_transformer(visual):
        return
    trunk = getattr(visual, 'trunk', None)
    if trunk is not None and hasattr(trunk, 'forward_head'):
        side = 32 * max(1, min(8, visual.image_size[0] // 32))
        weight = next(trunk.parameters())
        probe = torch.zeros((1, 3, side, side), device=weight.device, dtype=weight.dtype)
        with torch.inference_mode():
            if trunk.forward_features(probe).ndim == 4:
                return
    raise ModelError(
        'labeller clip_dense needs a vision transformer or a convolutional trunk: '
        f'{type(visual).__name__} is neither; use labeller clip'
    )


def _is_transformer(visual: Any) -> bool:
    blocks: Any = getattr(getattr(visual, 'transformer', None), 'resblocks', None)
    return bool(blocks) and hasattr(blocks[-1].attn, 'in_proj_weight')


def _value_features(visual: Any, pixels: Tensor) -> Tensor:
    tokens = visual._embeds(pixels)  # open_clip has no public way in
    *earlier, last = visual.transformer.resblocks
    for block in earlier:
        tokens = block(tokens)
    places = last.ln_1(tokens)[:, 1:]  # without the class token
    width = places.shape[-1]
    attention = last.attn
    values = functional.linear(
        places, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    )
    vectors: Tensor = visual.ln_post(attention.out_proj(values)) @ visual.proj
    height, columns = visual.grid_size
    return vectors.movedim(1, -1).reshape(len(vectors), -1, height, columns)
