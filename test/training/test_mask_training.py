"""What the mask network is trained on: views, targets, and where the loss keeps silent."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('ultralytics')
import mask_sets
import sets
from mask_examples import PADDING, Example, view
from mask_loss import RegionLoss
from scipy.io import savemat
from train_masks import load_start, write_released

HEIGHT, WIDTH = 90, 140
SIZE = (128, 96)


def example(folder: Path, *cuts: np.ndarray) -> Example:
    """Write an image that is white where region 2 of the first cut is, black elsewhere."""
    image = folder / 'image.png'
    assert cv2.imwrite(str(image), np.where(cuts[0] == 2, 255, 0).astype(np.uint8))
    return Example(image, lambda: list(cuts))


def parts(*columns: int) -> np.ndarray:
    """Number the parts between columns from 1."""
    return (np.arange(WIDTH) >= np.array(columns)[:, None]).sum(0)[None].repeat(HEIGHT, 0) + 1


@pytest.mark.parametrize('seed', range(6))
def test_masks_and_boxes_lie_where_the_image_is(seed: int, tmp_path: Path) -> None:
    cut = parts(50, 100)
    cut[:, 100:] = 0
    seen = view(example(tmp_path, cut), SIZE, np.random.default_rng(seed))
    assert seen.image.shape == (96, 128, 3) and seen.masks.shape[1:] == (24, 32)
    bright = seen.image.mean(-1) > seen.image.min() / 2 + seen.image.max() / 2
    bright &= (seen.image != PADDING).any(-1)
    shares = cv2.resize(bright.astype(np.float32), (32, 24), interpolation=cv2.INTER_AREA)
    errors = np.abs(seen.masks - shares).mean((1, 2))
    best = int(errors.argmin())
    assert errors[best] < 0.03
    x, y, width, height = seen.boxes[best] * [128, 96, 128, 96]
    rows, columns = np.nonzero(bright)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    np.testing.assert_allclose(box, found, atol=3)


def test_regions_on_which_annotators_agree_are_one_target(tmp_path: Path) -> None:
    cuts = (parts(70), parts(72), parts(70, 100))
    seen = view(example(tmp_path, *cuts), SIZE, np.random.default_rng(0))
    assert len(seen.masks) == len(seen.boxes) == 4  # two halves, and the right one cut again


def test_what_nobody_labelled_is_marked(tmp_path: Path) -> None:
    cut = np.zeros((HEIGHT, WIDTH), int)
    cut[:, :70] = 2
    seen = view(example(tmp_path, cut), SIZE, np.random.default_rng(1))
    assert 0.1 < (seen.labelled == 0).mean() < 0.7
    assert (seen.labelled[seen.masks.any(0)] > 0).all()


@pytest.fixture(scope='module')
def network(tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    """Make a one-class network of random weights, written and read as a start is."""
    from ultralytics.nn.tasks import SegmentationModel

    start = tmp_path_factory.mktemp('start') / 'start.pt'
    write_released(SegmentationModel('yolov8n-seg.yaml', nc=1, verbose=False), start)
    return load_start(start)


def test_scores_learn_nothing_where_nobody_looked(network: torch.nn.Module) -> None:
    loss = RegionLoss(network)
    batch = {
        'img': torch.rand(1, 3, 64, 64),
        'masks': torch.zeros(0, 16, 16),
        'bboxes': torch.zeros(0, 4),
        'cls': torch.zeros(0, 1),
        'batch_idx': torch.zeros(0),
        'labelled': torch.zeros(1, 16, 16),
    }
    found = network(batch['img'])
    assert loss(found, batch)[1]['cls_loss'] == 0
    batch['labelled'][:, :, 8:] = 1
    half = loss(found, batch)[1]['cls_loss']
    batch['labelled'][:] = 1
    assert 0 < half < loss(found, batch)[1]['cls_loss']


def test_regions_are_positive_even_where_their_middle_is_not_labelled(
    network: torch.nn.Module,
) -> None:
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:12, 4:12] = 1
    batch = {
        'img': torch.rand(1, 3, 64, 64),
        'masks': mask,
        'bboxes': torch.tensor([[0.5, 0.5, 0.5, 0.5]]),
        'cls': torch.zeros(1, 1),
        'batch_idx': torch.zeros(1),
        'labelled': torch.zeros(1, 16, 16),
    }
    found = RegionLoss(network)(network(batch['img']), batch)[1]
    assert all(found[name] > 0 for name in ('box_loss', 'seg_loss', 'cls_loss')), found


def test_facade_and_clothing_are_read_as_published(tmp_path: Path) -> None:
    facade, people = tmp_path / 'facade', tmp_path / 'people'
    for folder in (facade / 'images', facade / 'labels', people / 'photos'):
        folder.mkdir(parents=True)
    names = [f'{i:04d}' for i in range(40)]
    kept = [name for name in names if not sets.is_held_out(Path(name))]
    assert 30 <= len(kept) < 40
    label = np.zeros((8, 9, 3), np.uint8)
    label[:, :3], label[:, 6:], label[2:4, 7:8] = (128, 0, 0), (128, 0, 0), (0, 0, 128)
    pieces = np.zeros((8, 9), np.uint8)
    pieces[2:5, 2:5], pieces[5:7, 2:5] = 19, 41
    (people / 'annotations' / 'pixel-level').mkdir(parents=True)
    for name in names:
        for place in (facade / 'images', people / 'photos'):
            assert cv2.imwrite(str(place / f'{name}.jpg'), label)
        assert cv2.imwrite(str(facade / 'labels' / f'{name}.png'), label[..., ::-1])
        savemat(people / 'annotations' / 'pixel-level' / f'{name}.mat', {'groundtruth': pieces})
    houses = mask_sets.READERS['labelme_facade'](facade, '')
    assert [example.image.stem for example in houses] == kept
    (cut,) = houses[0].cuts()
    assert sorted(np.unique(cut, return_counts=True)[1].tolist()) == [2, 22, 24, 24]
    whole, clothes = mask_sets.READERS['clothing'](people, '')[0].cuts()
    assert np.unique(whole).tolist() == [0, 1] and np.unique(clothes).tolist() == [0, 19, 41]
