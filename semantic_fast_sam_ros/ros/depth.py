"""What is made of labels and depth: pairs both, and builds cloud and boxes apart from both."""

import threading
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.base.stamps import stamp_ns
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.outputs.approximate_time import NearestInTime
from semantic_fast_sam_ros.core.outputs.depth import of_cloud, of_image, too_far
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import DEPTH_TOPICS, POINTS
from semantic_fast_sam_ros.core.outputs.point_cloud import result_points
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.ros import connections, conversions, qos
from semantic_fast_sam_ros.ros.calibrations import CameraInfoInput
from semantic_fast_sam_ros.ros.diagnostics import STEADY
from semantic_fast_sam_ros.ros.outputs import Outputs
from semantic_fast_sam_ros.ros.worker import LatestFrameWorker

if TYPE_CHECKING:
    from semantic_fast_sam_ros.ros.objects import ObjectBoxes

LOG_PERIOD_S = 5.0
Depth: TypeAlias = 'Image | PointCloud2'


@dataclass(frozen=True)
class Labelled:
    """An image with its labels, and the settings as they stood."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    result: SegmentationResult
    header: Header
    config: Config
    found: Found | None = None  # what a query says of the masks


class DepthOutputs:
    """Publishes cloud and boxes while somebody subscribes; else does nothing and hears nothing.

    A frame waits until the depth image nearest in time is there, at most until the next frame.
    """

    def __init__(
        self,
        node: LifecycleNode,
        topic: str,
        kind: type[Image] | type[PointCloud2],
        info: CameraInfoInput,
        outputs: Outputs,
        boxes: 'ObjectBoxes | None' = None,
    ) -> None:
        """Name what goes in and where it goes.

        Args:
            node: that subscribes.
            topic: of depth, before remapping.
            kind: of its messages.
            info: calibration of depth images; clouds need none.
            outputs: the publishers.
            boxes: makes those; None: there are none.
        """
        self._node, self._topic, self._kind = node, topic, kind
        self._info, self._outputs, self._boxes = info, outputs, boxes
        self._subscription: Subscription | None = None
        self._lock = threading.Lock()  # of what follows
        self._depths = NearestInTime[Depth]()
        self._waiting: Labelled | None = None
        self._problem = ''
        self._worker = LatestFrameWorker[tuple[Labelled, Depth]](self._build, self._failed)

    def look(self) -> None:
        """Listen to depth while it is wanted. Runs on the executor's thread."""
        wanted = any(map(self._outputs.wants, DEPTH_TOPICS))
        if wanted and self._subscription is None:
            self._worker.start()
            self._subscription = self._node.create_subscription(
                self._kind,
                self._topic,
                self._take,
                qos.side_qos(),
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )
        elif not wanted:
            self.close()
        if wanted and self._boxes is not None:
            self._boxes.look(self._outputs)

    def close(self) -> None:
        """Stop listening, finish the frame in work; may be called twice."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._worker.stop()
            with self._lock:
                self._depths, self._waiting, self._problem = NearestInTime(), None, ''
        if self._boxes is not None:
            self._boxes.rest()

    def expect(self, header: Header) -> None:
        """Keep the depth image that suits an image until that is labelled."""
        with self._lock:
            self._depths.expect(stamp_ns(header))

    def offer(self, labelled: Labelled) -> None:
        """Build what is wanted of a labelled image, once its depth is there. Returns at once."""
        if self._subscription is None:
            return
        with self._lock:
            self._settle(last_chance=True)
            self._waiting = labelled
            self._settle()

    def problem(self) -> str:
        """Return why there is no cloud or box though it is wanted; '' if all is well."""
        subscription = self._subscription
        if subscription is None:
            return ''
        mismatch = connections.input_problem(self._node, subscription)
        boxes = self._boxes.problem if self._boxes is not None else ''
        return mismatch or self._problem or boxes

    def _take(self, message: Depth) -> None:
        with self._lock:
            self._depths.add(stamp_ns(message.header), message)
            self._settle()

    def _settle(self, last_chance: bool = False) -> None:
        """Pair the waiting image with its depth, unless a nearer one may still come."""
        if self._waiting is None:
            return
        waiting, match = self._waiting, self._depths.find(stamp_ns(self._waiting.header))
        if match is None and last_chance:
            self._problem = f'no {self._what} on {self._node.resolve_topic_name(self._topic)}'
        if match is None or not (match.settled or last_chance):
            return
        self._waiting = None
        late = too_far(match.apart_ns, waiting.config.cloud.tolerance_ms, self._what)
        if late:
            self._problem = late
            return
        self._worker.submit((waiting, match.item))

    def _build(self, pair: tuple[Labelled, Depth]) -> None:
        """Build and publish what is wanted. Runs on a thread of its own."""
        labelled, message = pair
        maximum = labelled.config.input.maximum_pixels
        if isinstance(message, PointCloud2):
            view = of_cloud(message, maximum)
        else:
            view = of_image(message, self._info.calibration, self._info.topic, maximum)
        if self._outputs.wants(POINTS):
            points = result_points(
                labelled.image,
                labelled.result,
                view.metres,
                view.intrinsics,
                labelled.config.cloud,
            )
            self._outputs.send(POINTS, conversions.point_cloud(points, labelled.header))
        if self._boxes is not None:
            settings = labelled.config.objects
            self._boxes.publish(
                self._outputs,
                labelled.result,
                labelled.header,
                settings,
                view,
                labelled.found,
            )
        self._problem = _frames_differ(labelled.header, message.header, self._what)

    @property
    def _what(self) -> str:
        return 'depth image' if self._kind is Image else 'cloud'

    def _failed(self, error: Exception) -> None:
        self._problem = f'nothing made of depth: {error}'
        if not isinstance(error, FrameError):
            text = ''.join(traceback.format_exception(error))
            self._node.get_logger().error(
                f'nothing made of depth: {text}',
                throttle_duration_sec=LOG_PERIOD_S,
                throttle_time_source_type=STEADY,
            )


def _frames_differ(image: Header, depth: Header, what: str) -> str:
    if image.frame_id == depth.frame_id:
        return ''
    return (
        f'the {what} is in {depth.frame_id!r}, the image in {image.frame_id!r}: labels fit '
        'only if depth is registered to the camera'
    )
