"""Watch the label topics of a running node, in order of arrival."""

from typing import Any

import numpy as np
from harness import LATCHED, RELIABLE, Peer, photo_message, until
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo


class Watcher:
    """What arrives on the label topics, in order of arrival."""

    def __init__(self, peer: Peer) -> None:
        self.arrived: list[Any] = []
        self._peer = peer
        self._number = 0
        for kind, topic, profile in (
            (LabelInfo, 'label_info', LATCHED),
            (Image, 'label_image', RELIABLE),
        ):
            peer.node.create_subscription(
                kind, f'/semantic_fast_sam/{topic}', self.arrived.append, profile
            )
        self._camera: Publisher = peer.camera()
        until(lambda: self._camera.get_subscription_count(), 'the node listens')
        until(self._infos, 'the latched label info')

    @property
    def images(self) -> list[Image]:
        """The label images so far."""
        return [m for m in self.arrived if isinstance(m, Image)]

    def shoot(self) -> Image:
        """Send one image; return its labels."""
        self._number += 1
        message = photo_message(self._number)

        def answer() -> Image | None:
            return next((m for m in self.images if m.header == message.header), None)

        return self._peer.feed(self._camera, message, answer)

    def names(self) -> dict[int, str]:
        """Return the newest names by id."""
        return {c.class_id: c.class_name for c in self._infos()[-1].class_map}

    def _infos(self) -> list[LabelInfo]:
        return [m for m in self.arrived if isinstance(m, LabelInfo)]


def ids_of(image: Image) -> set[int]:
    """Return the ids in a label image, without 0."""
    return set(np.unique(np.asarray(image.data)).tolist()) - {0}
