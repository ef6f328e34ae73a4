"""Several images in one pass of the networks get the labels that they get alone."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.networks.batching import run_together
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import from_values

# Sums of floats come out a little different in another order: a pixel between two classes, too.
PARITY = 0.999
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Halved:
    """A network that halves, and notes how many images it was given at once."""

    def __init__(self, takes_batches: bool) -> None:
        self.takes_batches = takes_batches
        self.given: list[int] = []

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        self.given.append(len(batch))
        return batch / 2, batch.mean((1, 2, 3))


@pytest.mark.parametrize(('takes_batches', 'passes'), [(True, [1, 2]), (False, [1, 1, 1])])
def test_images_of_one_shape_share_a_pass_where_the_network_takes_it(
    takes_batches: bool, passes: list[int]
) -> None:
    images = [torch.rand(1, 3, 8, 6), torch.rand(1, 3, 6, 8), torch.rand(1, 3, 8, 6)]
    network = Halved(takes_batches)
    found = run_together(network, images)
    assert sorted(network.given) == passes
    for image, (half, mean) in zip(images, found, strict=True):
        torch.testing.assert_close(half, image / 2)
        torch.testing.assert_close(mean, image.mean((1, 2, 3)))


@pytest.fixture(scope='module')
def cameras(street: np.ndarray) -> list[np.ndarray]:
    """Images of three cameras, two of one size."""
    return [street[:240, :320], street[100:340, 100:420], street[::3, ::4]]


def assert_alike(found: SegmentationResult, alone: SegmentationResult) -> None:
    """Check labels, masks and confidence up to rounding."""
    assert (found.label_map == alone.label_map).mean() >= PARITY
    assert (found.instances == alone.instances).mean() >= PARITY
    np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.01)
    np.testing.assert_allclose(found.mask_scores, alone.mask_scores, atol=1e-4)
    assert np.abs(found.confidence.astype(int) - alone.confidence.astype(int)).mean() < 0.1


@pytest.fixture(scope='module')
def shipped() -> SemanticFastSam:
    """The networks that ship, by torch."""
    return SemanticFastSam.from_profile(
        'embedded', device='cpu', precision='fp32', backend='torch', offline=True
    )


def test_shipped_networks_label_a_batch_as_each_image_alone(
    shipped: SemanticFastSam, cameras: list[np.ndarray]
) -> None:
    assert shipped.takes_batches
    for found, image in zip(shipped.label_all(cameras), cameras, strict=True):
        assert len(found.boxes) > 0
        assert_alike(found, shipped(image))


@pytest.mark.parametrize('kind', ['segformer', 'upernet', 'dpt', 'mask2former', 'semantic'])
def test_each_kind_of_dense_network_labels_a_batch_as_each_image_alone(
    kind: str,
    tiny_folder: Callable[[str], Path],
    tiny_checkpoints: dict[str, Path],
    cameras: list[np.ndarray],
) -> None:
    dense = tiny_checkpoints[kind] if kind == 'semantic' else tiny_folder(kind)
    segment = SemanticFastSam(tiny_config(tiny_checkpoints, dense))
    assert segment.takes_batches  # that of masks does, at least
    for found, image in zip(segment.label_all(cameras), cameras, strict=True):
        assert_alike(found, segment(image))


def tiny_config(checkpoints: dict[str, Path], dense: Path, **values: object):
    return from_values(
        {
            'masks.model': str(checkpoints['segment']),
            'masks.image_size': 96,
            'masks.max_masks': 10,
            'dense.model': str(dense),
            'dense.image_size': 64,
            'vote.mode': 'hard',  # random networks are undecided everywhere
            'device': 'cpu',
            'backend': 'torch',
            'trust_model_files': True,
            **values,
        }
    )


def test_conversions_are_run_one_by_one_and_label_the_same(
    tiny_folder: Callable[[str], Path],
    tiny_checkpoints: dict[str, Path],
    cameras: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if importlib.util.find_spec('openvino') is None:
        pytest.skip('openvino is not installed')
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path))
    config = tiny_config(tiny_checkpoints, tiny_folder('segformer'), backend='openvino')
    segment = SemanticFastSam(config)
    assert not segment.takes_batches
    for found, image in zip(segment.label_all(cameras), cameras, strict=True):
        assert_alike(found, segment(image))


def test_shares_of_a_pass_add_up_to_its_time(
    shipped: SemanticFastSam, cameras: list[np.ndarray]
) -> None:
    together, alone = shipped.label_all(cameras), shipped(cameras[0])
    assert all(result.stage_ms.keys() == alone.stage_ms.keys() for result in together)
    shares = [result.stage_ms['mask_network'] for result in together]
    assert shares == [shares[0]] * len(cameras)
    assert all(0 < share < 10 * alone.stage_ms['mask_network'] for share in shares)


def test_images_that_carry_labels_are_left_out_of_the_dense_network(
    shipped: SemanticFastSam, cameras: list[np.ndarray]
) -> None:
    earlier = shipped(cameras[0])
    outputs = shipped.run_networks(cameras[:2], [True, False])
    assert outputs[0].dense is None and outputs[1].dense is not None
    carried = shipped(cameras[0], earlier, outputs[0])
    np.testing.assert_array_equal(carried.label_map, shipped(cameras[0], earlier).label_map)
    # Labels that do not fit after all: the dense network is asked then.
    assert_alike(shipped(cameras[0], None, outputs[0]), earlier)


def test_what_is_no_image_is_refused_before_the_networks_run(shipped: SemanticFastSam) -> None:
    good = np.zeros((8, 9, 3), np.uint8)
    with pytest.raises(FrameError, match=r'\(H, W, 3\) uint8'):
        shipped.label_all([good, good[..., 0]])


def test_no_images_are_no_results(shipped: SemanticFastSam) -> None:
    assert shipped.label_all([]) == []
