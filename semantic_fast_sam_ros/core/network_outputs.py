"""What the networks say of several images at once, before each image is labelled on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core.base.timing import StageTimer, stage
from semantic_fast_sam_ros.core.closed_set.dense import BatchSegmenter
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.images.rgb import upload
from semantic_fast_sam_ros.core.masks.fastsam import Detections, FastSamGenerator
from semantic_fast_sam_ros.core.masks.types import MaskGenerator, MaskLabeller


@dataclass(frozen=True)
class NetworkOutputs:
    """What the networks say of an image, in a pass that it shared with others."""

    pixels: Tensor  # (3, H, W) uint8 RGB on the device
    detections: Detections
    dense: DenseMap | None  # None where no closed-set network looked
    stage_ms: Mapping[str, float]  # its share: the pass's times, divided by its images

    def total_ms(self, own_ms: Mapping[str, float]) -> dict[str, float]:
        """Return the image's times by stage: its share of the pass, and its own."""
        names = dict.fromkeys((*self.stage_ms, *own_ms))
        return {name: self.stage_ms.get(name, 0.0) + own_ms.get(name, 0.0) for name in names}


def take_batches(generator: MaskGenerator, labeller: MaskLabeller) -> bool:
    """Return whether a network takes several images at once, so that a common pass is worth it."""
    dense = _batch_segmenter(labeller)
    return isinstance(generator, FastSamGenerator) and (
        generator.takes_batches or (dense is not None and dense.takes_batches)
    )


def run_networks(
    images: Sequence[NDArray[np.uint8]],
    carried: Sequence[bool],
    generator: FastSamGenerator,
    labeller: MaskLabeller,
    device: torch.device,
) -> list[NetworkOutputs]:
    """Run both networks on images.

    Args:
        images: each (H, W, 3) uint8 RGB.
        carried: which of them take over earlier labels: the dense network leaves them out.
        generator: of masks.
        labeller: its dense network runs if that takes several images.
        device: that the networks run on.
    """
    timer = StageTimer(device)
    with timer.running():
        with stage('upload'):
            pixels = [upload(image, device) for image in images]
        detections = generator.detect(pixels)
        maps = _dense_maps(pixels, carried, _batch_segmenter(labeller))
    share = {name: ms / len(images) for name, ms in timer.stage_ms().items()}
    found = zip(pixels, detections, maps, strict=True)
    return [NetworkOutputs(*each, share) for each in found]


def _dense_maps(
    images: Sequence[Tensor], carried: Sequence[bool], segmenter: BatchSegmenter | None
) -> list[DenseMap | None]:
    maps: list[DenseMap | None] = [None] * len(images)
    anew = [i for i, old in enumerate(carried) if not old] if segmenter else []
    if segmenter and anew:
        for i, dense in zip(anew, segmenter.segment_all([images[i] for i in anew]), strict=True):
            maps[i] = dense
    return maps


def _batch_segmenter(labeller: MaskLabeller) -> BatchSegmenter | None:
    dense = labeller.segmenter if isinstance(labeller, ClosedSetLabeller) else None
    return dense if isinstance(dense, BatchSegmenter) else None
