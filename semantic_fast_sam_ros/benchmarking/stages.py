"""Time a pipeline stage by stage, at a size, with a number of masks."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from semantic_fast_sam_ros.benchmarking.clock import elapsed_ms, median, p95
from semantic_fast_sam_ros.benchmarking.scenes import Rgb, photos
from semantic_fast_sam_ros.core.images.decoding import image_to_rgb
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam

# In the order of a frame; what a labeller adds comes where it was first seen.
STAGES = (
    *('decode', 'upload', 'preprocess', 'mask_network', 'mask_post', 'dense_network', 'vote'),
    *('labels', 'rasterise', 'download', 'render', 'serialise', 'publish'),
)
NETWORKS = ('mask_network', 'dense_network')
OUTPUTS = ('render', 'serialise', 'publish')
# Tried one after the other, below the profile's own, until the network proposes enough masks.
LOWER_CONFIDENCES = (0.05, 0.01, 0.001)
MAXIMUM_PIXELS = 1 << 26
LOOSE_IOU = 0.9  # lets more of them through non-maximum suppression
StageTimes = dict[str, list[float]]  # milliseconds, one a frame


class OutputStages(Protocol):
    """What comes after the pipeline."""

    def time(self, image: Rgb, result: SegmentationResult) -> dict[str, float]:
        """Render, serialise and publish a result; return the milliseconds of each."""
        ...


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    size: tuple[int, int]  # (height, width)
    masks: int  # at most so many; 0: as many as the profile's settings find
    threads: int  # of torch
    profile: str


@dataclass(frozen=True)
class Timed:
    """What a case took."""

    times: StageTimes
    masks_found: list[int]  # a frame
    confidence: float  # threshold that gave them


def time_case(pipeline: SemanticFastSam, case: Case, outputs: OutputStages, frames: int) -> Timed:
    """Label photos again and again; nothing of the first round over them is counted."""
    images = photos(case.size)
    messages = [camera_message(image) for image in images]
    found = limit_masks(pipeline, case.masks, images)
    times: StageTimes = {}
    counts = []
    for number in range(len(images) + frames):
        message = messages[number % len(images)]
        decode = elapsed_ms(partial(image_to_rgb, message, MAXIMUM_PIXELS))
        image = image_to_rgb(message, MAXIMUM_PIXELS)
        result = pipeline(image)
        stages = {'decode': decode, **result.stage_ms, **outputs.time(image, result)}
        if number < len(images):
            continue
        counts.append(len(result.mask_ids))
        for name, spent in stages.items():
            times.setdefault(name, []).append(spent)
    return Timed(times, counts, found)


def limit_masks(pipeline: SemanticFastSam, masks: int, images: Iterable[Rgb]) -> float:
    """Have the network itself propose that many masks of each image; return the confidence.

    Where the profile's threshold finds fewer, a lower one takes weaker proposals: their
    post-processing and votes cost what those of strong ones do. With 0 nothing is changed.
    """
    given = pipeline.config
    if not masks:
        return given.masks.confidence
    own = given.masks.confidence
    for confidence in (own, *(c for c in LOWER_CONFIDENCES if c < own)):
        settings = replace(given.masks, confidence=confidence, max_masks=masks)
        if confidence < own:
            settings = replace(settings, iou=max(given.masks.iou, LOOSE_IOU))
        pipeline.update(replace(given, masks=settings))
        if all(len(pipeline(image).mask_ids) >= 0.9 * masks for image in images):
            break
    return confidence


def camera_message(image: Rgb) -> Any:
    """Return an image as a camera's message has it, without any ROS."""
    height, width = image.shape[:2]
    return SimpleNamespace(
        height=height,
        width=width,
        encoding='rgb8',
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image).tobytes(),
    )


def row(case: Case, timed: Timed) -> dict[str, Any]:
    """Return a case and its figures as the JSON has them."""
    names = [name for name in STAGES if name in timed.times]
    names += [name for name in timed.times if name not in names]
    frame = [sum(spent) for spent in zip(*(timed.times[n] for n in names), strict=True)]
    parts = [timed.times[n] for n in names if n not in OUTPUTS]
    labelled = [sum(spent) for spent in zip(*parts, strict=True)]
    networks = sum(median(timed.times[n]) for n in NETWORKS if n in timed.times)
    return {
        'size': f'{case.size[1]}x{case.size[0]}',
        'masks': case.masks,
        'masks_found': median([float(n) for n in timed.masks_found]),
        'confidence': timed.confidence,
        'profile': case.profile,
        'threads': case.threads,
        'frames': len(timed.masks_found),
        'stage_ms': {n: round(median(timed.times[n]), 3) for n in names},
        'stage_p95_ms': {n: round(p95(timed.times[n]), 3) for n in names},
        'stage_share': {n: round(sum(timed.times[n]) / max(1e-9, sum(frame)), 4) for n in names},
        'label_ms': round(median(labelled), 2),  # decode to download
        'frame_ms': round(median(frame), 2),  # and what it takes to publish
        'frame_p95_ms': round(p95(frame), 2),
        'networks_ms': round(networks, 2),
        # What the aim speaks of: the pipeline's time against the forward passes alone.
        'overhead': round(median(labelled) / networks, 3) if networks else None,
        'overhead_published': round(median(frame) / networks, 3) if networks else None,
    }
