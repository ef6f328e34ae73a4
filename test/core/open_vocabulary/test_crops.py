"""The batched crops against crops made one by one, by hand."""

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.open_vocabulary import crops

GREY = crops.GREY
BLACK = torch.zeros(3)


def picture(height: int = 40, width: int = 60) -> Tensor:
    """Return an image whose every pixel differs, (3, H, W) uint8."""
    return (
        torch.arange(3 * height * width).reshape(3, height, width).remainder(251).to(torch.uint8)
    )


def test_squares_hold_wide_and_tall_boxes() -> None:
    boxes = torch.tensor([[10.0, 10, 30, 20], [0, 0, 2, 8]])
    expected = torch.tensor([[10.0, 5, 30, 25], [-3, 0, 5, 8]])
    assert torch.equal(crops.square_boxes(boxes, 1.0), expected)
    doubled = torch.tensor([[0.0, -5, 40, 35], [-7, -4, 9, 12]])
    assert torch.equal(crops.square_boxes(boxes, 2.0), doubled)


def test_crop_of_its_own_size_is_the_image_there() -> None:
    image = picture()
    (crop,) = crops.cut(image, torch.tensor([[7.0, 3, 23, 19]]), 16)
    assert torch.allclose(crop, image[:, 3:19, 7:23].float(), atol=1e-3)


def test_boxes_are_corners_not_corner_and_size() -> None:
    image = torch.zeros((3, 40, 60), dtype=torch.uint8)
    image[:, 20:30, 40:50] = 200
    (crop,) = crops.cut(image, torch.tensor([[40.0, 20, 50, 30]]), 10)
    assert crop.min() > 199


def test_channels_stay_red_green_blue() -> None:
    image = torch.zeros((3, 20, 30), dtype=torch.uint8)
    image[0] = 250
    (crop,) = crops.cut(image, torch.tensor([[5.0, 5, 15, 15]]), 8)
    assert crop[0].min() > 249 and crop[1:].abs().max() < 1e-3


def test_shrinking_averages_and_does_not_skip_pixels() -> None:
    image = picture()
    (crop,) = crops.cut(image, torch.tensor([[8.0, 4, 40, 36]]), 8)
    patch = image[:, 4:36, 8:40].float().unfold(1, 4, 4).unfold(2, 4, 4)
    assert torch.allclose(crop, patch.mean((-1, -2)), atol=1e-2)


def test_outside_the_image_is_grey() -> None:
    image = torch.full((3, 20, 30), 200, dtype=torch.uint8)
    (crop,) = crops.cut(image, torch.tensor([[-8.0, -8, 8, 8]]), 16)
    assert torch.allclose(crop[:, :8], torch.tensor(GREY)) and torch.allclose(
        crop[:, 8:, 8:], torch.tensor(200.0)
    )


def test_mask_i_is_cut_by_box_i() -> None:
    masks = torch.zeros((2, 20, 30), dtype=torch.bool)
    masks[0, 4:12, 6:14] = True
    masks[1, 2:10, 16:24] = True
    boxes = torch.tensor([[6.0, 4, 14, 12], [16, 2, 24, 10]])
    assert crops.cut_masks(masks, boxes, 8).all()
    assert not crops.cut_masks(masks.flip(0), boxes, 8).any()


def test_mask_is_false_outside_the_image() -> None:
    masks = torch.ones((1, 20, 30), dtype=torch.bool)
    (inside,) = crops.cut_masks(masks, torch.tensor([[22.0, 0, 38, 16]]), 16)
    assert inside[:, :8].all() and not inside[:, 8:].any()


def test_neighbours_do_not_reach_the_crop() -> None:
    image = torch.zeros((3, 32, 48), dtype=torch.uint8)
    image[:, :, :16], image[:, :, 16:] = 50, 250
    masks = torch.zeros((1, 32, 48), dtype=torch.bool)
    masks[:, :, :16] = True
    boxes = torch.tensor([[0.0, 0, 32, 32]])
    for fill, right in (('none', 250.0), ('mean', 0.0)):
        (crop,) = crops.mask_crops(image, masks, boxes, 32, 1.0, fill, BLACK)
        assert torch.allclose(crop[:, :, :16], torch.tensor(50.0))
        assert torch.allclose(crop[:, :, 16:], torch.tensor(right))


def test_blur_mixes_what_it_hides_and_spares_the_mask() -> None:
    image = picture(32, 48)
    masks = torch.zeros((1, 32, 48), dtype=torch.bool)
    masks[:, 8:24, 8:24] = True
    boxes = torch.tensor([[0.0, 0, 32, 32]])
    (crop,) = crops.mask_crops(image, masks, boxes, 32, 1.0, 'blur', BLACK)
    original = image[:, :, :32].float()
    assert torch.allclose(crop[:, 8:24, 8:24], original[:, 8:24, 8:24], atol=1e-3)
    assert crop[:, :8].std() < 0.5 * original[:, :8].std()


def test_box_blur_is_the_mean_of_the_window_inside_the_crop() -> None:
    crop = torch.rand((1, 3, 18, 18))
    blurred = crops.box_blur(crop)
    assert torch.allclose(blurred[0, :, 9, 9], crop[0, :, 8:11, 8:11].mean((1, 2)), atol=1e-6)
    assert torch.allclose(blurred[0, :, 0, 0], crop[0, :, :2, :2].mean((1, 2)), atol=1e-6)


def test_no_masks_make_no_crops() -> None:
    masks, boxes = torch.zeros((0, 20, 30), dtype=torch.bool), torch.zeros((0, 4))
    for fill in crops.FILLS:
        assert crops.mask_crops(picture(20, 30), masks, boxes, 16, 1.5, fill, BLACK).shape[0] == 0
