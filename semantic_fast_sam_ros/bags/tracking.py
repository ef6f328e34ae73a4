"""Tracks in a recording: the images of each camera in their order, also where a run goes on."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.base.stamps import stamp_ns
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.track_ids import TrackIds
from semantic_fast_sam_ros.core.objects.tracks import ObjectTracker, Things
from semantic_fast_sam_ros.core.settings.config import Config, parse_size
from semantic_fast_sam_ros.core.settings.objects import OFF
from semantic_fast_sam_ros.core.settings.things import is_thing
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary


class RecordingTracks:
    """The trackers of a recording's cameras."""

    def __init__(self, cameras: Iterable[str], config: Config, vocabulary: Vocabulary) -> None:
        """Begin without tracks.

        Args:
            cameras: image topics.
            config: how things are tracked.
            vocabulary: says which classes are things; names that it has not tell by themselves.
        """
        ids, keep_s = TrackIds(), config.objects.track_keep_s
        self._trackers = {camera: ObjectTracker(ids, keep_s) for camera in cameras}
        self._things = {c.name: is_thing(c) for c in vocabulary.classes}

    def update(self, camera: str, result: SegmentationResult, header: Any) -> SegmentationResult:
        """Return the labels of a camera's next image with mask ids that last."""
        return self._trackers[camera].update(result, stamp_ns(header))

    def replay(self, camera: str, detections: Any) -> None:
        """Take in what an earlier run wrote of an image, a Detection2DArray."""
        seen = self._things_in(detections.detections)
        self._trackers[camera].follow(seen, stamp_ns(detections.header))

    def _things_in(self, detections: list[Any]) -> Things:
        best = [d.results[0].hypothesis if len(d.results) else None for d in detections]
        rows = [i for i, b in enumerate(best) if b is not None and self._is_thing(b.class_id)]
        boxes = [detections[row].bbox for row in rows]
        centres = [(b.center.position.x, b.center.position.y) for b in boxes]
        return Things(
            np.array(rows, np.int64),
            np.array(centres, np.float64).reshape(-1, 2),
            np.array([(b.size_x, b.size_y) for b in boxes], np.float64).reshape(-1, 2),
            np.array([best[row].score for row in rows], np.float64),  # type: ignore[union-attr]
        )

    def _is_thing(self, name: str) -> bool:
        if name not in self._things:
            self._things[name] = is_thing(SemanticClass(1, name, (0, 0, 0)))
        return self._things[name]


def require_resumable(config: Config, job: Job) -> None:
    """Check that the tracks of an earlier run can be followed on from what it wrote.

    Raises:
        ConfigError: it did not write the boxes that its tracks came from.
    """
    if config.tracking == OFF:
        return
    if 'detections' not in job.outputs or parse_size(config.output.size):
        raise ConfigError(
            'a run with tracking goes on from the boxes in ~/detections: it can be resumed with '
            '`detections` among --outputs and output.size input only. Begin anew'
        )
