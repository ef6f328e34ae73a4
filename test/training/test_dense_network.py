"""The dense network that is trained: what it writes is what the product runs."""

from pathlib import Path

import pytest
import torch
from dense_network import DenseNetwork, begin, keep_wide_filters_exact, read, write
from torch import Tensor

from semantic_fast_sam_ros.core.closed_set.hugging_face import TransformersSegmenter
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.settings.models import DenseSettings

CLASSES = ('road', 'sky', 'other')
SIZE = 64, 96


@pytest.fixture
def network() -> DenseNetwork:
    torch.manual_seed(0)
    return DenseNetwork(CLASSES).eval()


def image() -> Tensor:
    return torch.randint(256, (3, *SIZE), dtype=torch.uint8)


@torch.inference_mode()
def test_the_product_labels_with_what_was_written(network: DenseNetwork, tmp_path: Path) -> None:
    write(network, tmp_path / 'dense', SIZE)
    seen = image()
    segmenter = TransformersSegmenter(
        tmp_path / 'dense', DenseSettings(image_size=SIZE[0]), Runtime(torch.device('cpu'))
    )
    ours = network(seen[None] / 255)[0]
    assert segmenter.class_names == CLASSES
    torch.testing.assert_close(segmenter.segment(seen).scores, ours, atol=0.02, rtol=0.02)
    torch.testing.assert_close(
        read(tmp_path / 'dense')(seen[None] / 255)[0], ours, atol=0.02, rtol=0.02
    )


@torch.inference_mode()
def test_calibration_moves_logits_and_then_scales_them(network: DenseNetwork) -> None:
    batch, offsets = image()[None] / 255, torch.tensor([1.0, 0.0, -1.0])
    before = network(batch)
    network.calibrate(offsets, torch.tensor([0.5]))
    torch.testing.assert_close(network(batch), (before + offsets[:, None, None]) * 0.5)


def test_held_edges_learn_nothing(network: DenseNetwork) -> None:
    network.train()
    network.hold_edges()
    trunk = network.upernet.backbone._backbone
    before = trunk.bn1.running_mean.clone()
    logits, auxiliary = network(torch.rand(2, 3, *SIZE))
    (logits.sum() + auxiliary.sum()).backward()
    assert trunk.conv_stem.weight.grad is None
    assert trunk.blocks[1][0].conv_pw.weight.grad is not None
    torch.testing.assert_close(trunk.bn1.running_mean, before)


def test_it_begins_with_the_mean_of_two_backbones(network: DenseNetwork, tmp_path: Path) -> None:
    write(network, tmp_path / 'before', SIZE)
    other = DenseNetwork(CLASSES).upernet.backbone.state_dict()
    torch.save({f'x{i}': value for i, value in enumerate(other.values())}, tmp_path / 'net.pth')
    begun = DenseNetwork(CLASSES)
    head = begun.upernet.decode_head.classifier.weight.clone()
    begin(begun, [tmp_path / 'net.pth', tmp_path / 'before'])
    name = '_backbone.blocks.3.0.conv_pw.weight'
    mean = (other[name] + network.upernet.backbone.state_dict()[name]) / 2
    torch.testing.assert_close(
        begun.upernet.backbone.state_dict()[name], mean, atol=1e-3, rtol=1e-3
    )
    torch.testing.assert_close(begun.upernet.decode_head.classifier.weight, head)


@torch.inference_mode()
@pytest.mark.parametrize('classes', [CLASSES, ('road', 'sky')])
def test_it_goes_on_from_a_trained_network(
    classes: tuple[str, ...], network: DenseNetwork, tmp_path: Path
) -> None:
    write(network, tmp_path / 'before', SIZE)
    begun = DenseNetwork(classes).eval()
    begin(begun, [tmp_path / 'before'])
    batch = image()[None] / 255
    if classes == CLASSES:
        torch.testing.assert_close(begun(batch), network(batch), atol=0.02, rtol=0.02)
    else:  # all but what tells the classes
        fused = (n.upernet.decode_head.fpn_bottleneck.conv.weight for n in (begun, network))
        torch.testing.assert_close(*fused, atol=1e-3, rtol=1e-3)


def test_wide_filters_stay_exact_under_autocast(network: DenseNetwork) -> None:
    keep_wide_filters_exact(network)
    kinds = {}
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            kind = (module.groups > 1, module.kernel_size[0])
            module.register_forward_hook(
                lambda _, __, out, kind=kind: kinds.update({kind: out.dtype})
            )
    with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16):
        network(image()[None] / 255)
    assert kinds[True, 5] == torch.float32
    assert kinds[True, 3] == kinds[False, 1] == torch.bfloat16
