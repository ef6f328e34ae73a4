"""What the networks see in several images at once, before each is labelled on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from semantic_fast_sam_ros.core.dense import BatchSegmenter, DenseMap
from semantic_fast_sam_ros.core.fastsam import Detections, FastSamGenerator


@dataclass(frozen=True)
class Seen:
    """What the networks saw in an image, in a pass that it shared with others."""

    pixels: Tensor  # (3, H, W) uint8 RGB on the device
    detections: Detections
    dense: DenseMap | None  # None where no closed-set network looked
    stage_ms: Mapping[str, float]  # its share: the pass's times, divided by its images

    def total_ms(self, own_ms: Mapping[str, float]) -> dict[str, float]:
        """Return the image's times by stage: its share of the pass, and its own."""
        names = dict.fromkeys((*self.stage_ms, *own_ms))
        return {name: self.stage_ms.get(name, 0.0) + own_ms.get(name, 0.0) for name in names}


def see(
    images: Sequence[Tensor],
    carried: Sequence[bool],
    generator: FastSamGenerator,
    segmenter: BatchSegmenter | None,
) -> list[tuple[Detections, DenseMap | None]]:
    """Run both networks on images (3, H, W) uint8 RGB.

    Args:
        images: on the device.
        carried: those whose labels come from earlier images: the dense network leaves them out.
        generator: of masks.
        segmenter: the dense branch, if it is one that takes several images.
    """
    detections = generator.detect(images)
    anew = [i for i, old in enumerate(carried) if not old] if segmenter else []
    maps: list[DenseMap | None] = [None] * len(images)
    if segmenter and anew:
        for i, dense in zip(anew, segmenter.segment_all([images[i] for i in anew]), strict=True):
            maps[i] = dense
    return list(zip(detections, maps, strict=True))
