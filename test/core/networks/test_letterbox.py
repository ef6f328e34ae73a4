"""Images must be scaled and padded as the YOLO family was trained with."""

import numpy as np
import pytest
import torch

from semantic_fast_sam_ros.core.networks.letterbox import letterbox


@pytest.mark.parametrize('shape', [(480, 640), (375, 1242), (640, 480), (97, 31), (64, 64)])
@pytest.mark.parametrize('size', [448, 630])
def test_places_images_as_ultralytics_does(shape: tuple[int, int], size: int) -> None:
    from ultralytics.data.augment import LetterBox

    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    batch, _ = letterbox(torch.from_numpy(image).permute(2, 0, 1), size, torch.float32)
    rounded = -(-size // 32) * 32
    theirs = LetterBox((rounded, rounded), auto=True, stride=32)(image=image)
    assert tuple(batch.shape[2:]) == theirs.shape[:2]
    ours = (batch[0].permute(1, 2, 0) * 255).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_the_padding_can_be_cut_off_again() -> None:
    image = torch.randint(0, 255, (3, 50, 96), dtype=torch.uint8)
    batch, place = letterbox(image, 96, torch.float32)
    assert tuple(batch.shape) == (1, 3, 64, 96)
    torch.testing.assert_close(place.crop(batch)[0] * 255, image.float())


@pytest.mark.parametrize('shape', [(36, 64), (33, 57)])  # edges on samples of the maps, between
def test_maps_of_the_batch_are_sampled_where_the_image_is(shape: tuple[int, int]) -> None:
    batch, place = letterbox(torch.zeros((3, *shape), dtype=torch.uint8), 64, torch.float32)
    height, width = batch.shape[2:]
    y, x = torch.arange(height // 4), torch.arange(width // 4)  # a quarter's grid
    rows = (4 * y + 1.5).expand(len(x), -1).T
    columns = (4 * x + 1.5).expand(len(y), -1)
    found = place.sample(torch.stack([rows, columns])[None], (height, width))[0]
    count = [round(side / 4) for side in (place.height, place.width)]
    assert list(found.shape[1:]) == count
    for axis, side in enumerate((place.height, place.width)):
        start = (place.top, place.left)[axis]
        places = start + (torch.arange(count[axis]) + 0.5) * side / count[axis] - 0.5
        places = places.clamp(1.5, (height, width)[axis] - 2.5)
        lines = found[axis][:, 0] if axis == 0 else found[axis][0]
        torch.testing.assert_close(lines, places, rtol=0, atol=1e-4)
