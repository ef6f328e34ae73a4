"""Faults that a test puts into a process of the node before it starts."""

import time

from semantic_fast_sam_ros.core import loading, pipeline
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

LOADING, LABELLING = 'models are being loaded', 'an image is being labelled'
SHORT_S, ENDLESS_S = 1.0, 600.0


def endless_load() -> None:
    """Let the models come from a disk that does not answer."""

    def load(*_: object) -> None:
        print(LOADING)
        time.sleep(ENDLESS_S)

    loading.load_generator = load


def long_frame() -> None:
    """Let each image take a second."""
    _slow_frames(SHORT_S)


def endless_frame() -> None:
    """Let each image take for ever, as a device that hangs does."""
    _slow_frames(ENDLESS_S)


def _slow_frames(duration_s: float) -> None:
    label = SemanticFastSam.__call__

    def slow(self: SemanticFastSam, image: object) -> object:
        if image.shape[0] != pipeline.WARM_UP_SIZE[0]:
            print(LABELLING)
            time.sleep(duration_s)
        return label(self, image)

    SemanticFastSam.__call__ = slow
