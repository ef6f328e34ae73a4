"""Class shares over time, counts, timings and sample pictures of a run, in bounded memory."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MAXIMUM_BINS = 300
FIRST_BIN_NS = 100_000_000
MAXIMUM_SAMPLES = 12
SAMPLE_WIDTH = 480
SAMPLE_QUALITY = 75


@dataclass
class Timeline:
    """Pixels of each class over time; bins double in width when there are too many."""

    start_ns: int | None = None
    width_ns: int = FIRST_BIN_NS
    bins: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def add(self, time_ns: int, pixels: NDArray[np.int64]) -> None:
        """Add the pixel counts of a frame, one a class id."""
        if self.start_ns is None:
            self.start_ns = time_ns
        self._put(self.bins, (time_ns - self.start_ns) // self.width_ns, pixels)
        while len(self.bins) > MAXIMUM_BINS:
            merged: dict[int, NDArray[np.int64]] = {}
            for place, counts in self.bins.items():
                self._put(merged, place // 2, counts)
            self.bins, self.width_ns = merged, 2 * self.width_ns

    @staticmethod
    def _put(bins: dict[int, NDArray[np.int64]], place: int, pixels: NDArray[np.int64]) -> None:
        old = bins.get(place, np.zeros(0, np.int64))
        total = np.zeros(max(len(old), len(pixels)), np.int64)
        total[: len(old)] += old
        total[: len(pixels)] += pixels
        bins[place] = total

    def shares(self, ids: int) -> list[tuple[float, list[float]]]:
        """Return seconds from the start and the share of each id (0 ... ids - 1), by time."""
        rows = []
        for place, counts in sorted(self.bins.items()):
            row = np.zeros(ids, np.int64)
            row[: len(counts)] = counts[:ids]
            rows.append((place * self.width_ns / 1e9, (row / max(1, row.sum())).tolist()))
        return rows


@dataclass
class Samples:
    """Pictures spread evenly over a run whose length nobody knows beforehand."""

    step: int = 1
    seen: int = 0
    pictures: list[tuple[int, str, bytes]] = field(default_factory=list)  # time, topic, JPEG

    def due(self) -> bool:
        """Count a frame; say whether its picture is wanted."""
        self.seen += 1
        return (self.seen - 1) % self.step == 0

    def add(self, time_ns: int, topic: str, picture: NDArray[np.uint8]) -> None:
        """Keep a picture, (H, W, 3) RGB; with too many, every other one goes."""
        if picture.shape[1] > SAMPLE_WIDTH:
            height = max(1, round(picture.shape[0] * SAMPLE_WIDTH / picture.shape[1]))
            size = (SAMPLE_WIDTH, height)
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, SAMPLE_QUALITY])[1]
        self.pictures.append((time_ns, topic, encoded.tobytes()))
        if len(self.pictures) > MAXIMUM_SAMPLES:
            self.pictures = self.pictures[::2]
            self.step *= 2


@dataclass
class Statistics:
    """Everything that the summary tells of the frames."""

    frames: dict[str, int] = field(default_factory=dict)  # by topic
    refused: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)  # the first reason, by topic
    warned: dict[str, int] = field(default_factory=dict)  # labelled all the same, by topic
    warnings: dict[str, str] = field(default_factory=dict)  # the first of each
    unboxed: dict[str, int] = field(default_factory=dict)  # labelled, without boxes in space
    unboxed_reasons: dict[str, str] = field(default_factory=dict)  # the first of each
    copied: int = 0
    masks: int = 0
    timed_frames: int = 0
    stage_ms: dict[str, float] = field(default_factory=dict)  # summed
    timeline: Timeline = field(default_factory=Timeline)
    samples: Samples = field(default_factory=Samples)

    def add_labels(self, topic: str, time_ns: int, labels: NDArray[np.unsignedinteger]) -> None:
        """Count a labelled frame."""
        self.frames[topic] = self.frames.get(topic, 0) + 1
        self.timeline.add(time_ns, np.bincount(labels.ravel()))

    def add_timing(self, stage_ms: dict[str, float], masks: int) -> None:
        """Add what a frame took and held."""
        self.timed_frames += 1
        self.masks += masks
        for stage, milliseconds in stage_ms.items():
            self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + milliseconds

    def refuse(self, topic: str, reason: str) -> None:
        """Count a frame that could not be decoded."""
        self.refused[topic] = self.refused.get(topic, 0) + 1
        self.refusals.setdefault(topic, reason)

    def warn(self, topic: str, reason: str) -> None:
        """Count a frame whose labels are hardly worth anything."""
        self.warned[topic] = self.warned.get(topic, 0) + 1
        self.warnings.setdefault(topic, reason)

    def leave_unboxed(self, topic: str, reason: str) -> None:
        """Count a frame whose depth does not do for boxes in space."""
        self.unboxed[topic] = self.unboxed.get(topic, 0) + 1
        self.unboxed_reasons.setdefault(topic, reason)

    @property
    def frame_count(self) -> int:
        """All labelled frames."""
        return sum(self.frames.values())

    def class_shares(self, ids: int) -> list[float]:
        """Return the share of each id (0 ... ids - 1) in all pixels."""
        total = np.zeros(ids, np.int64)
        for counts in self.timeline.bins.values():
            total[: len(counts)] += counts[:ids]
        return (total / max(1, total.sum())).tolist()  # type: ignore[no-any-return]

    def mean_stage_ms(self) -> dict[str, float]:
        """Return what a frame took on average, by stage."""
        frames = max(1, self.timed_frames)
        return {stage: round(total / frames, 3) for stage, total in self.stage_ms.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return the plain counts."""
        return {
            'frames': self.frame_count,
            'frames_by_topic': self.frames,
            'refused': self.refused,
            'refusals': self.refusals,
            'warned': self.warned,
            'warnings': self.warnings,
            'without_boxes': self.unboxed,
            'without_boxes_reasons': self.unboxed_reasons,
            'copied_messages': self.copied,
            'masks_a_frame': round(self.masks / max(1, self.timed_frames), 2),
            'stage_ms': self.mean_stage_ms(),
        }
