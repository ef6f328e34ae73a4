"""The boxes of things in space, as messages."""

from functools import partial
from typing import ClassVar

from rclpy.node import Node
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.box_messages import detections_3d, marker_array
from semantic_fast_sam_ros.core.objects.boxes_3d import boxes_3d
from semantic_fast_sam_ros.core.outputs.depth import DepthView
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import DETECTIONS_3D, FOUND_3D, MARKERS
from semantic_fast_sam_ros.core.settings import things
from semantic_fast_sam_ros.core.settings.objects import ObjectSettings
from semantic_fast_sam_ros.ros.conversions import new
from semantic_fast_sam_ros.ros.outputs import Outputs
from semantic_fast_sam_ros.ros.transforms import FrameLookup


class ObjectBoxes:
    """Publishes boxes of one camera's things, and of what is asked for, while they are taken."""

    topics: ClassVar[dict[str, type]] = {
        DETECTIONS_3D: Detection3DArray,
        MARKERS: MarkerArray,
        FOUND_3D: Detection3DArray,
    }

    def __init__(self, node: Node, frame: str = '') -> None:
        """Name the frame that boxes are in; '': the camera's.

        Raises:
            ConfigError: another frame needs tf2_ros, which is not installed.
        """
        self._lookup = FrameLookup(node, frame) if frame else None
        things.shipped()  # read now, not in the first image
        self.problem = ''  # why the newest frame has none
        self.without_depth = 0  # things of the newest frame that have no box
        self.without_transform = 0  # frames so far

    def look(self, outputs: Outputs) -> None:
        """Listen to transforms while boxes are wanted. Runs on the executor's thread."""
        if self._lookup is not None:
            self._lookup.need(any(map(outputs.wants, self.topics)))

    def publish(
        self,
        outputs: Outputs,
        result: SegmentationResult,
        header: Header,
        settings: ObjectSettings,
        view: DepthView,
        found: Found | None = None,
    ) -> None:
        """Build and publish what is subscribed to.

        Args:
            outputs: the publishers.
            result: of an image.
            header: of that image.
            settings: which things have boxes.
            view: depth of the same view.
            found: what a query says of the masks.

        Raises:
            FrameError: depth is not registered to the image, or not calibrated.
        """
        if not any(map(outputs.wants, self.topics)):
            return
        transform = None
        if self._lookup is not None:
            try:
                transform = self._lookup.matrix(header)
            except FrameError as error:
                self.without_transform += 1
                self.problem = f'{self.without_transform} images without boxes: {error}'
                return
            header = Header(stamp=header.stamp, frame_id=self._lookup.frame)
        self.problem = ''
        build = partial(boxes_3d, result, view.metres, view.intrinsics, settings, transform)
        if any(map(outputs.wants, (DETECTIONS_3D, MARKERS))):
            boxes = build()
            self.without_depth = boxes.without_depth
            if outputs.wants(DETECTIONS_3D):
                outputs.send(DETECTIONS_3D, detections_3d(new, boxes, header))
            if outputs.wants(MARKERS):
                outputs.send(MARKERS, marker_array(new, boxes, header))
        if found is not None and outputs.wants(FOUND_3D):
            outputs.send(FOUND_3D, detections_3d(new, build(found), header))

    def rest(self) -> None:
        """Stop listening to transforms; may be called twice."""
        if self._lookup is not None:
            self._lookup.need(False)
