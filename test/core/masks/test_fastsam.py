"""The mask branch must find what ultralytics' own FastSAM call finds."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.settings.models import MaskSettings

CPU = torch.device('cpu')


def generator(checkpoint: Path, **settings: object) -> FastSamGenerator:
    return FastSamGenerator(checkpoint, MaskSettings(**settings), Runtime(CPU))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def test_masks_equal_those_of_a_plain_fastsam_call(
    shipped_fastsam: Path, street: np.ndarray, street_tensor: Tensor
) -> None:
    from ultralytics import FastSAM

    settings = MaskSettings(confidence=0.1)
    with torch.inference_mode():
        ours = generator(shipped_fastsam, confidence=0.1).generate(street_tensor)
    bgr = np.ascontiguousarray(street[..., ::-1])  # what ultralytics takes numpy images to be
    theirs = FastSAM(str(shipped_fastsam))(
        bgr,
        imgsz=settings.image_size,
        conf=settings.confidence,
        iou=settings.iou,
        retina_masks=True,
        max_det=settings.max_masks,
        verbose=False,
        device='cpu',
    )[0]
    reference = theirs.masks.data.numpy().astype(bool)
    best = [max(overlap(mask, other) for other in ours.masks.numpy()) for mask in reference]
    assert len(reference) == len(ours) >= 8
    assert min(best) > 0.97


def test_swapped_colours_are_another_image(shipped_fastsam: Path, street_tensor: Tensor) -> None:
    with torch.inference_mode():
        masks = generator(shipped_fastsam)
        right, swapped = masks.generate(street_tensor), masks.generate(street_tensor.flip(0))
    assert not torch.equal(right.scores, swapped.scores)


@pytest.mark.parametrize('retina', [True, False])
def test_no_masks_is_a_normal_result(
    shipped_fastsam: Path, street_tensor: Tensor, retina: bool
) -> None:
    with torch.inference_mode():
        none = generator(shipped_fastsam, confidence=1.0, retina_masks=retina)
        found = none.generate(street_tensor)
    assert (len(found), tuple(found.masks.shape[1:])) == (0, (640, 480))


def test_coarse_masks_resemble_the_fine_ones(shipped_fastsam: Path, street_tensor: Tensor) -> None:
    with torch.inference_mode():
        fine = generator(shipped_fastsam, max_masks=5).generate(street_tensor)
        coarse = generator(shipped_fastsam, max_masks=5, retina_masks=False).generate(
            street_tensor
        )
    assert len(fine) == len(coarse) == 5
    both = zip(fine.masks.numpy(), coarse.masks.numpy(), strict=True)
    assert min(overlap(a, b) for a, b in both) > 0.8


def test_a_network_for_another_task_is_refused(tiny_checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="task 'semantic', not 'segment'"):
        generator(tiny_checkpoints['semantic'])


def test_the_classes_of_other_networks_count_as_one(
    tiny_checkpoints: dict[str, Path], street: np.ndarray, street_tensor: Tensor
) -> None:
    from ultralytics import YOLO

    file = tiny_checkpoints['many']
    with torch.inference_mode():
        ours = generator(file, image_size=96, confidence=0.3, max_masks=20).generate(street_tensor)
    asked = {'imgsz': 96, 'conf': 0.3, 'iou': 0.7, 'max_det': 20, 'agnostic_nms': True}
    bgr = np.ascontiguousarray(street[..., ::-1])
    theirs = YOLO(str(file))(bgr, **asked, verbose=False, device='cpu')[0].boxes
    assert len(theirs) == 20
    torch.testing.assert_close(ours.scores, theirs.conf, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours.boxes, theirs.xyxy, rtol=1e-2, atol=1.0)


def test_a_yoloe_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'is a YOLOE.*name it in yoloe.model, too'):
        generator(tiny.write_yoloe(tmp_path / 'yoloe.pt'))


@pytest.mark.parametrize('kind', ['ema only', 'wrapped', 'states', 'older'])
def test_checkpoints_of_training_in_progress(
    kind: str, tiny_checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    kept = torch.load(tiny_checkpoints['many'], weights_only=False)
    network = kept['model']
    if kind == 'ema only':
        kept = {**kept, 'model': None, 'ema': network, 'optimizer': {'state': {}}, 'epoch': 3}
    elif kind == 'older':
        for name in ('task', 'end2end'):
            network.__dict__.pop(name, None)
    else:
        wrapped = torch.nn.DataParallel(network)
        kept['model'] = wrapped if kind == 'wrapped' else wrapped.state_dict()
    torch.save(kept, tmp_path / 'last.pt')
    refused = {'wrapped': 'DataParallel.*save its `.module`', 'states': 'without the network'}
    if kind in refused:
        with pytest.raises(ModelError, match=refused[kind]):
            generator(tmp_path / 'last.pt')
    else:
        assert generator(tmp_path / 'last.pt')._network is not None


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_finds_about_the_same(
    shipped_fastsam: Path, street_tensor: Tensor, dtype: torch.dtype
) -> None:
    settings = MaskSettings(max_masks=8)
    with torch.inference_mode():
        full = FastSamGenerator(shipped_fastsam, settings, Runtime(CPU))
        half = FastSamGenerator(shipped_fastsam, settings, Runtime(CPU, dtype))
        masks, found = full.generate(street_tensor), half.generate(street_tensor)
    assert found.boxes.dtype == found.scores.dtype == torch.float32
    best = [max(overlap(a, b) for b in masks.masks.numpy()) for a in found.masks.numpy()]
    assert np.median(best) > 0.8


def test_no_more_masks_than_asked_and_the_best_first(
    shipped_fastsam: Path, street_tensor: Tensor
) -> None:
    with torch.inference_mode():
        found = generator(shipped_fastsam, max_masks=3).generate(street_tensor)
    assert len(found) == 3
    assert (found.scores.diff() <= 0).all()


def test_boxes_are_corners_in_pixels_round_their_masks(
    shipped_fastsam: Path, street_tensor: Tensor
) -> None:
    with torch.inference_mode():
        found = generator(shipped_fastsam).generate(street_tensor)
    for mask, (x1, y1, x2, y2) in zip(found.masks.numpy(), found.boxes.numpy(), strict=True):
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        assert 0 <= x1 < x2 <= 480 and 0 <= y1 < y2 <= 640
        assert columns[0] >= x1 and columns[-1] < x2
        assert rows[0] >= y1 and rows[-1] < y2


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / 'broken.pt').write_bytes(b'not a checkpoint')
    with pytest.raises(ModelError, match=r'broken\.pt is not a readable'):
        generator(tmp_path / 'broken.pt')


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    mark, file = tmp_path / 'it_ran', tmp_path / 'evil.pt'
    torch.save({'model': tiny.Intruder(mark)}, file)
    with pytest.raises(ModelError):
        generator(file)
    file.write_bytes(pickle.dumps(tiny.Intruder(mark)))
    with pytest.raises(ModelError):
        generator(file)
    assert not mark.exists()
    pickle.loads(file.read_bytes())
    assert mark.exists(), 'the file is harmless, so that this test could not fail'


def test_a_file_from_elsewhere_needs_trust(tiny_checkpoints: dict[str, Path]) -> None:
    name = str(tiny_checkpoints['segment'])
    with pytest.raises(ModelError, match='trust_model_files'):
        weights.checkpoint_file(name, weights.Policy())
    assert weights.checkpoint_file(name, weights.Policy(trust_model_files=True))
