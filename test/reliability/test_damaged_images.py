"""Ten thousand damaged camera messages: each is decoded or refused in words, nothing else."""

import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import damaged_compressed, damaged_image

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.decoding import compressed_to_rgb, image_to_rgb

SEEDS = range(10)
CASES_A_SEED = 500  # of each of two message types: 10,000 in all
MAXIMUM_PIXELS = 1 << 20
SPARE_BYTES = 256 << 20  # less than any of the sizes that are promised would take
CASES = {
    'Image': (damaged_image, image_to_rgb),
    'CompressedImage': (damaged_compressed, compressed_to_rgb),
}


@pytest.fixture
def _little_memory() -> Iterator[None]:
    """Let an allocation of the promised size fail."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    used = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures('_little_memory')
@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('kind', CASES)
def test_damaged_message_is_decoded_or_refused_in_words(kind: str, seed: int) -> None:
    damaged, decode = CASES[kind]
    dice = random.Random(seed)
    outcomes = [outcome(decode, damaged(dice)) for _ in range(CASES_A_SEED)]
    assert 0.05 < np.mean(outcomes) < 0.95, 'the messages are all good or all bad'


def outcome(decode: Callable[..., Any], message: Any) -> bool:
    """Return whether a message was decoded; fail over anything but an image or a FrameError."""
    try:
        image = decode(message, MAXIMUM_PIXELS)
    except FrameError as error:
        assert 10 < len(str(error)) < 1000, error
        return False
    assert image.dtype == np.uint8
    assert image.ndim == 3 and image.shape[2] == 3
    assert 0 < image.shape[0] * image.shape[1] <= MAXIMUM_PIXELS
    return True
