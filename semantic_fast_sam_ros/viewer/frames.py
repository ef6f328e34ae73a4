"""One labelled image as it reached the viewer: put together by stamp, asked about by pixel."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PARTS = ('label_image', 'confidence', 'instances', 'detections', 'overlay/compressed')
ANSWERS = ('query/detections', 'query/heat')  # beside them, while something is looked for
SHOWN_ANSWERS = 20
KEPT = 4  # frames of which only parts have come


@dataclass(frozen=True)
class Frame:
    """The node's outputs for one camera image."""

    stamp: str  # seconds.nanoseconds of the camera image, as text
    labels: NDArray[np.unsignedinteger]  # (H, W) uint8 or uint16 class ids, 0 = unlabelled
    confidence: NDArray[np.uint8]  # (H, W)
    instances: NDArray[np.uint16]  # (H, W) mask ids, 0 = none
    detections: Any  # vision_msgs/Detection2DArray
    overlay_jpeg: bytes
    answers: Any = None  # vision_msgs/Detection2DArray, what a query found
    heat: NDArray[np.uint8] | None = None  # (H, W), how likely each pixel's mask shows it

    def shares(self) -> dict[int, float]:
        """Return the share of the pixels of each id that occurs, largest first."""
        counts = np.bincount(self.labels.ravel())
        order = np.argsort(-counts, kind='stable')
        return {int(i): float(counts[i]) / self.labels.size for i in order if counts[i]}

    def pixel(self, x: int, y: int) -> dict[str, Any]:
        """Return what is known of a pixel; the nearest one for a place outside."""
        height, width = self.labels.shape
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
        mask_id = int(self.instances[y, x])
        found = next((d for d in self.detections.detections if d.id == str(mask_id)), None)
        hypotheses = [
            [result.hypothesis.class_id, result.hypothesis.score]
            for result in (found.results if found else [])
        ]
        return {
            'stamp': self.stamp,
            'x': x,
            'y': y,
            'id': int(self.labels[y, x]),
            'confidence': int(self.confidence[y, x]) / 255,
            'mask': mask_id,
            'hypotheses': hypotheses,
            'outline': self._outline(mask_id) if mask_id else [],
        }

    def found(self) -> dict[str, Any] | None:
        """Return what a query found, likeliest first; None where the node gave no answer."""
        if self.answers is None or self.heat is None:
            return None
        first = [
            [answer.id, answer.results[0].hypothesis.class_id, answer.results[0].hypothesis.score]
            for answer in self.answers.detections[:SHOWN_ANSWERS]
        ]
        count, best = len(self.answers.detections), int(self.heat.max(initial=0)) / 255
        return {'first': first, 'count': count, 'best': best}

    def _outline(self, mask_id: int) -> list[list[list[int]]]:
        """Return the mask's outer borders as lists of [x, y]."""
        mask = (self.instances == mask_id).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        return [contour[:, 0].tolist() for contour in contours]


class FrameAssembler:
    """Collects the topics of a frame; what stays incomplete is dropped for newer ones."""

    def __init__(self, searching: bool = False) -> None:
        """Start empty; wait for the answers to a query as well, if one was asked."""
        self._searching, self._held = searching, ''
        self._parts: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def add(self, part: str, message: Any) -> Frame | None:
        """Take a message of one topic; return the frame that it completes, if it does."""
        stamp = f'{message.header.stamp.sec}.{message.header.stamp.nanosec:09d}'
        parts = self._parts.setdefault(stamp, {})
        parts[part] = message
        if not parts.keys() >= set(PARTS):
            while len(self._parts) > KEPT:
                self._parts.popitem(last=False)
            return None
        if not self._searching or parts.keys() >= set(ANSWERS):
            return self._taken(stamp)
        # A node may have no answer: the next image is not waited for in vain.
        held, self._held = self._held, stamp
        return self._taken(held) if held != stamp and held in self._parts else None

    def _taken(self, stamp: str) -> Frame:
        """Return a frame; whatever began before it is not waited for."""
        while True:
            oldest, parts = self._parts.popitem(last=False)
            if oldest == stamp:
                return _frame(stamp, parts)


def pixels(message: Any) -> NDArray[np.unsignedinteger]:
    """Return a mono8 or mono16 image with tight rows as (H, W)."""
    shape = (message.height, message.width)
    if message.encoding == 'mono8':
        return np.frombuffer(message.data, np.uint8).reshape(shape)
    return np.frombuffer(message.data, np.uint16).reshape(shape)


def _frame(stamp: str, parts: dict[str, Any]) -> Frame:
    heat = parts.get('query/heat')
    return Frame(
        stamp,
        pixels(parts['label_image']),
        pixels(parts['confidence']).astype(np.uint8, copy=False),
        pixels(parts['instances']).astype(np.uint16, copy=False),
        parts['detections'],
        bytes(parts['overlay/compressed'].data),
        parts.get('query/detections'),
        pixels(heat).astype(np.uint8, copy=False) if heat is not None else None,
    )
