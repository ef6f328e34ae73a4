"""What was seen lately and may be out of sight: the tracks of a camera with their mean vectors."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.queries import Query
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import Detection, detections

MAXIMUM_OBJECTS = 1000  # of a camera; of more those that were not seen for longest are forgotten


@dataclass(frozen=True)
class SeenObject:
    """A track as it was seen last."""

    told: Detection  # its number, and its place in the image
    seen_ns: int  # stamp of that image
    total: NDArray[np.float32]  # (dim,) sum of its unit vectors


class ObjectMemory:
    """The objects of one camera. Not for two threads at once."""

    def __init__(self, keep_s: float) -> None:
        """Remember nothing yet.

        Args:
            keep_s: what was not seen for longer is forgotten.
        """
        self._keep_ns = round(keep_s * 1e9)
        self._objects: dict[str, SeenObject] = {}  # by number, in the order of being seen

    def __len__(self) -> int:
        return len(self._objects)

    def see(self, result: SegmentationResult, stamp_ns: int) -> None:
        """Take in the tracks of an image.

        Objects of the future, after the clock was set back, are forgotten as those too old are.

        Args:
            result: of the camera's next image; where it has no vectors, known objects get a new
                place and no new ones come.
            stamp_ns: when it was taken.
        """
        told = detections(result)
        for row in () if result.tracked is None else np.flatnonzero(result.tracked):
            known = self._objects.pop(told[row].id, None)
            vectors = [] if known is None else [known.total]
            vectors += [] if result.features is None else [result.features[row]]
            if vectors:
                total: NDArray[np.float32] = np.stack(vectors).sum(0)
                self._objects[told[row].id] = SeenObject(told[row], stamp_ns, total)
        self._objects = {
            number: seen
            for number, seen in list(self._objects.items())[-MAXIMUM_OBJECTS:]
            if 0 <= stamp_ns - seen.seen_ns <= self._keep_ns
        }

    def out_of_sight(self, query: Query, threshold: float, stamp_ns: int) -> tuple[Detection, ...]:
        """Return what a query finds among the objects that an image does not show.

        Args:
            query: the words.
            threshold: from which score on an object is an answer.
            stamp_ns: of the image, which `see` was given before.

        Returns:
            objects with the words for them, and `seen_ns` of the image that showed them last,
            likeliest first.
        """
        gone = [seen for seen in self._objects.values() if seen.seen_ns != stamp_ns]
        if not gone:
            return ()
        totals = np.stack([seen.total for seen in gone])
        means = totals / np.maximum(np.linalg.norm(totals, axis=1, keepdims=True), 1e-6)
        ranked = Found(query.names, query.scores(means), threshold).ranked()
        return tuple(
            replace(gone[row].told, hypotheses=words, seen_ns=gone[row].seen_ns)
            for row, words in ranked
        )
