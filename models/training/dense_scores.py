"""Score a dense network on held-out images whose labels allow several classes."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as functional
from augmentation import FILL
from label_sets import Photo
from meanings import CLASSES, MEANINGS
from numpy.typing import NDArray
from torch import Tensor, nn

SHORTER_SIDE = 384  # as the profile `embedded` has it
STRIDE = 32  # of the deepest stage: other sides put it half a pixel aside
FOLDED = {'bus or truck': 'car', 'terrain': 'tree', 'two-wheeler': 'bicyclist'}


def prepare(image: NDArray[np.uint8]) -> Tensor:
    """Scale an RGB image to a shorter side of 384 and pad it to multiples of 32: (1, 3, h, w)."""
    gain = SHORTER_SIDE / min(image.shape[:2])
    size = round(image.shape[1] * gain), round(image.shape[0] * gain)
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if gain < 1 else 1)
    bottom, right = -image.shape[0] % STRIDE, -image.shape[1] % STRIDE
    image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(FILL,) * 3)
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


@torch.inference_mode()
def predict(network: nn.Module, image: NDArray[np.uint8]) -> Tensor:
    """Return the logits (C, H, W) of an RGB image, by a network in eval mode."""
    height, width = image.shape[:2]
    gain = SHORTER_SIDE / min(height, width)
    batch = prepare(image)
    logits = functional.interpolate(network(batch), batch.shape[2:], mode='bilinear')
    logits = logits[:, :, : round(height * gain), : round(width * gain)]
    return functional.interpolate(logits, (height, width), mode='bilinear')[0]


def confusion(
    classes_of: Callable[[NDArray[np.uint8]], NDArray[np.int64]], members: list[Photo], fold: bool
) -> NDArray[np.int64]:
    """Count (true, predicted) pixels, (C, C): a label's first class is the true one.

    A class that the label allows counts as that one. With `fold`, the classes beyond CamVid's
    become the one that holds them there.

    Args:
        classes_of: from an RGB image to the class of each pixel, (H, W).
        members: the images.
        fold: whether CamVid's classes are all that count.
    """
    size = len(CLASSES)
    names = [FOLDED.get(n, n) for n in CLASSES] if fold else CLASSES
    folded = np.array([CLASSES.index(n) for n in names])
    first = np.array([CLASSES.index(m.split('|')[0].rstrip('?')) for m in MEANINGS])
    allowed = np.array([[n in m.split('|') for n in CLASSES] for m in MEANINGS])
    matrix = np.zeros((size, size), np.int64)
    for photo in members:
        image, marks = photo.read()
        found = folded[classes_of(image)][marks > 0]
        marks = marks[marks > 0]
        found = np.where(allowed[marks, found], first[marks], found)
        matrix += np.bincount(first[marks] * size + found, minlength=size**2).reshape(size, -1)
    return matrix


def report(network: nn.Module, validation: dict[str, list[Photo]]) -> None:
    """Print the IoU of every class that a set labels, and their mean."""
    network.eval()
    for name, members in validation.items():
        matrix = confusion(
            lambda image: predict(network, image).argmax(0).numpy(),
            members,
            fold=name != 'coco_panoptic',
        )
        true = matrix.sum(1)
        iou = np.diag(matrix) / np.maximum(true + matrix.sum(0) - np.diag(matrix), 1)
        shown = {CLASSES[i]: round(100 * float(iou[i]), 1) for i in true.nonzero()[0]}
        print(f'{name}: mIoU {np.mean(list(shown.values())):.2f} {shown}', flush=True)
    network.train()
