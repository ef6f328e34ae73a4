"""Changes of light, colour, sharpness and place for training crops."""

import math
import random

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FILL = 114  # of what lies outside of the image: ultralytics' letterbox


def jitter_colours(image: Image, rng: random.Random) -> Image:
    """Change light as unseen drives do: gamma, brightness, contrast, tint, saturation, blur."""
    x = np.power(image.astype(np.float32) / 255, math.exp(rng.uniform(-0.6, 0.6)))
    x *= rng.uniform(0.6, 1.4)
    x = (x - x.mean()) * rng.uniform(0.6, 1.4) + x.mean()
    x *= np.array([rng.uniform(0.85, 1.15) for _ in range(3)], np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * rng.choice([rng.uniform(0.3, 1.6), 1.0])
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.3:
        noise = np.random.default_rng(rng.getrandbits(32))
        x = x + noise.normal(0, 0.03, x.shape).astype(np.float32)
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def compress(image: Image, rng: random.Random) -> Image:
    """Send an RGB image through JPEG of a quality of 20 to 80."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(20, 80)]
    return cv2.imdecode(cv2.imencode('.jpg', image, quality)[1], cv2.IMREAD_COLOR)


def placement(
    image: Image, size: tuple[int, int], base: float, rng: random.Random
) -> NDArray[np.float64]:
    """Return the (2, 3) matrix that takes an image to a crop of `size` (height, width).

    The scale is `base` times 0.6 to 1.9, with a change of aspect, a small turn and a flip.
    """
    height, width = size
    scale = base * math.exp(rng.uniform(math.log(0.6), math.log(1.9)))
    aspect = math.exp(rng.uniform(-0.1, 0.1))
    matrix = cv2.getRotationMatrix2D((0, 0), rng.uniform(-4, 4), scale)
    matrix[0] *= aspect
    spare_x = scale * aspect * image.shape[1] - width
    spare_y = scale * image.shape[0] - height
    matrix[:, 2] -= [
        rng.uniform(min(0, spare_x), max(0, spare_x)),
        rng.uniform(min(0, spare_y), max(0, spare_y)),
    ]
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += width - 1
    return matrix


def warp(
    image: Image, marks: Image, matrix: NDArray[np.float64], size: tuple[int, int]
) -> tuple[Image, Image]:
    """Return the crop (height, width, 3) and its marks at half that size (0 outside)."""
    height, width = size
    image = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(FILL,) * 3
    )
    half = matrix / 2
    half[:, 2] -= 0.25  # the centre of a pixel of two by two
    marks = cv2.warpAffine(
        marks, half, (width // 2, height // 2), flags=cv2.INTER_NEAREST, borderValue=0
    )
    return image, marks
