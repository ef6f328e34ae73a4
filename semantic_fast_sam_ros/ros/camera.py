"""One camera of the node: its subscription, its outputs, its figures."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from rclpy._rclpy_pybind11 import InvalidHandle
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.base.stamps import stamp_ns
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.memory import ObjectMemory
from semantic_fast_sam_ros.core.objects.track_ids import TrackIds
from semantic_fast_sam_ros.core.objects.tracks import ObjectTracker
from semantic_fast_sam_ros.core.outputs.frame_outputs import (
    FEATURES,
    REMEMBERED,
    at_output_size,
)
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.node import IMAGE, POINTS, InputSettings
from semantic_fast_sam_ros.core.settings.objects import BYTETRACK, OFF
from semantic_fast_sam_ros.core.video.adapting import CameraAdaptation
from semantic_fast_sam_ros.ros import connections, conversions, diagnostics, qos
from semantic_fast_sam_ros.ros.depth import DepthOutputs
from semantic_fast_sam_ros.ros.geometry import CLOUD_TOPIC, DEPTH_TOPIC, Geometry
from semantic_fast_sam_ros.ros.outputs import Outputs
from semantic_fast_sam_ros.ros.queries import Queries
from semantic_fast_sam_ros.ros.statistics import FrameStatistics

if TYPE_CHECKING:
    from semantic_fast_sam_ros.ros.objects import ObjectBoxes

INPUT_TOPIC = 'image'
DEPTH = {IMAGE: (DEPTH_TOPIC, Image), POINTS: (CLOUD_TOPIC, PointCloud2)}  # by cloud.source
BEFORE_S = 1.0  # after such a pause, labels say nothing of the next image
Message: TypeAlias = 'Image | CompressedImage'


class Camera:
    """A camera by name; '' is the only one of a node."""

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        config: Callable[[], Config],
        receive: Callable[['Frame'], None],
        track_ids: TrackIds,
        queries: Queries,
        adaptation: CameraAdaptation,
    ) -> None:
        """Create the publishers.

        Args:
            node: that owns the topics.
            name: its topics are NAME/image and ~/NAME/label_image, ...; without the name for ''.
            config: gives the settings as they stand.
            receive: takes each image; must return at once.
            track_ids: where the numbers of its tracks come from.
            queries: what is looked for in its images.
            adaptation: what its names have settled into.

        Raises:
            ConfigError: tracking, or boxes in another frame, needs a library that is missing, or
                the memory tracks or vectors that there are not.
        """
        self.name, now, prefix = name, config(), f'~/{name}'.rstrip('/')
        self._tracker = _tracker(now, track_ids)
        self._memory, self._queries = _memory(now, queries), queries
        self.boxes = _boxes(node, now)
        self.outputs = Outputs(
            node,
            now.output,
            prefix,
            now.cloud.enabled,
            queries,
            memory=self._memory is not None,
            further=self.boxes.topics if self.boxes else {},
        )
        self.geometry = Geometry(node, self._named(INPUT_TOPIC), self._named(DEPTH_TOPIC))
        topic, kind = DEPTH[now.cloud.source]
        depth = self._named(topic), kind, self.geometry.depth
        self.depth = DepthOutputs(node, *depth, self.outputs, self.boxes)
        self.statistics = FrameStatistics()
        self.tone = ToneMapper()  # of its 16-bit images
        self.adaptation = adaptation
        self._node, self._config, self._receive = node, config, receive
        self._subscription: Subscription | None = None
        self._newest: SegmentationResult | None = None
        self._newest_s, self._last_image = float('-inf'), time.monotonic()
        self._carried = 0  # images since one was labelled anew

    @property
    def topic(self) -> str:
        """The topic listened to, as resolved and remapped."""
        # Resolved first: a remapping of `image` is to move `image/compressed` with it.
        topic = str(self._node.resolve_topic_name(self._named(INPUT_TOPIC)))
        return f'{topic}/compressed' if self._settings.transport == 'compressed' else topic

    def subscribe(self) -> None:
        """Listen to images, and to what goes beside them."""
        self._last_image = time.monotonic()
        self._look()
        self._subscription = self._node.create_subscription(
            CompressedImage if self._settings.transport == 'compressed' else Image,
            self.topic,
            self._take,
            qos.input_qos(self._settings.reliability, self._settings.depth),
            # Publishers that cannot be heard are reported by ros/connections.py.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def unsubscribe(self) -> None:
        """Stop listening; may be called twice."""
        self.geometry.close()
        self.depth.close()
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def destroy(self) -> None:
        """Remove all topics."""
        self.unsubscribe()
        self.outputs.destroy()
        if self._tracker is not None:
            self._tracker.close()

    def tracked(self, result: SegmentationResult, header: Header) -> SegmentationResult:
        """Return the labels of an image with mask ids that last, where that is asked for."""
        if self._tracker is None:
            return result
        started = time.perf_counter()
        tracked = self._tracker.update(result, stamp_ns(header))
        stage_ms = {'tracks': 1000 * (time.perf_counter() - started)}
        return replace(tracked, stage_ms=result.stage_ms | stage_ms)

    def recall(
        self, result: SegmentationResult, header: Header, size: tuple[int, int] | None
    ) -> None:
        """Remember the objects of an image; tell what a query finds among those out of sight.

        Args:
            result: of the image, tracked.
            header: of the image.
            size: height and width of the outputs, where messages give them.
        """
        if self._memory is None:
            return
        config, seen_ns = self._config(), stamp_ns(header)
        self._memory.see(at_output_size(result, config.output, size), seen_ns)
        query = self._queries.current
        if query is not None and self.outputs.wants(REMEMBERED):
            found = self._memory.out_of_sight(query, config.query.threshold, seen_ns)
            self.outputs.send(REMEMBERED, conversions.to_message(found, header))

    def labelled(self, result: SegmentationResult) -> None:
        """Remember the labels of an image. For the worker's thread."""
        self._newest, self._carried = result, self._carried + 1
        self._newest_s = time.monotonic()

    def labels_to_carry(self, label_every: int) -> SegmentationResult | None:
        """Return the newest labels where the next image is to take them over, else None."""
        if self._carried % label_every:
            return self._newest
        self._carried = 0
        return None

    def labels_before(self) -> SegmentationResult | None:
        """Return the newest labels, unless nothing was labelled for a while since."""
        fresh = time.monotonic() - self._newest_s <= BEFORE_S
        return self._newest if fresh else None

    def problems(self) -> dict[str, str]:
        """Return what is wrong with the connections, by kind."""
        try:
            return {kind: text for kind, text in self._observations().items() if text}
        except InvalidHandle:  # a transition in another thread removes the topics meanwhile
            return {}

    def _observations(self) -> dict[str, str]:
        found = {
            diagnostics.OUTPUT: connections.output_problem(self._node, self.outputs.publishers),
            diagnostics.GEOMETRY: self.geometry.problem(),
            diagnostics.CLOUD: self.depth.problem(),
            diagnostics.TONE: self.tone.warning,
            diagnostics.TRACKS: self._tracker.notice if self._tracker else '',
            diagnostics.FEATURES: self.outputs.lack(),
        }
        subscription = self._subscription
        if subscription is not None:
            found[diagnostics.INPUT] = connections.input_problem(self._node, subscription)
            found[diagnostics.SILENCE] = self._silence(subscription.topic_name)
        return found

    def _take(self, message: Message) -> None:
        self._last_image = time.monotonic()
        self._look()
        self._receive(Frame(self, message))

    def _look(self) -> None:
        """Listen to what is needed now beside the images."""
        self.geometry.look(self._config(), self.outputs)
        self.depth.look()

    @property
    def _settings(self) -> InputSettings:
        return self._config().input

    def _named(self, topic: str) -> str:
        return f'{self.name}/{topic}'.lstrip('/')

    def _silence(self, topic: str) -> str:
        silent_s = time.monotonic() - self._last_image
        if silent_s <= self._settings.timeout_s:
            return ''
        publishers = self._node.count_publishers(topic)
        plural = '' if publishers == 1 else 's'
        return f'no image on {topic} for {silent_s:.0f} s ({publishers} publisher{plural} there)'


def _tracker(config: Config, track_ids: TrackIds) -> ObjectTracker | None:
    if config.tracking != BYTETRACK:
        return None
    return ObjectTracker(track_ids, config.objects.track_keep_s)


def _memory(config: Config, queries: Queries) -> ObjectMemory | None:
    """Return what remembers objects, where that is asked for.

    Raises:
        ConfigError: there are no numbers that last, or no vectors.
    """
    keep_s = config.memory.keep_s
    if not keep_s:
        return None
    if config.tracking == OFF:
        raise ConfigError('memory.keep_s needs numbers that last: set tracking to bytetrack')
    if not queries.fills(FEATURES):
        raise ConfigError(f'memory.keep_s has nothing to keep: {queries.lacking}')
    return ObjectMemory(keep_s)


def _boxes(node: LifecycleNode, config: Config) -> 'ObjectBoxes | None':
    """Return what makes boxes, where asked for: only then are their messages imported."""
    if not config.objects.boxes_3d:
        return None
    from semantic_fast_sam_ros.ros.objects import ObjectBoxes

    return ObjectBoxes(node, config.objects.frame)


@dataclass(frozen=True)
class Frame:
    """An image of a camera."""

    camera: Camera
    message: Message
