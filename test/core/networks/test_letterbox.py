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
