"""The boxes of things in space, as messages."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.box_messages import detections_3d, marker_array
from semantic_fast_sam_ros.core.objects.boxes_3d import Intrinsics, boxes_3d
from semantic_fast_sam_ros.core.outputs.frame_outputs import DETECTIONS_3D, MARKERS
from semantic_fast_sam_ros.core.settings import things
from semantic_fast_sam_ros.core.settings.objects import ObjectSettings
from semantic_fast_sam_ros.ros.conversions import new
from semantic_fast_sam_ros.ros.outputs import Outputs
from semantic_fast_sam_ros.ros.transforms import FrameLookup


class ObjectBoxes:
    """Publishes `detections_3d` and `objects/markers` of one camera while somebody subscribes."""

    topics: ClassVar[dict[str, type]] = {DETECTIONS_3D: Detection3DArray, MARKERS: MarkerArray}

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

    def publish(
        self,
        outputs: Outputs,
        result: SegmentationResult,
        header: Header,
        settings: ObjectSettings,
        depth: NDArray[np.float32],
        intrinsics: Intrinsics,
    ) -> None:
        """Build and publish what is subscribed to.

        Args:
            outputs: the publishers.
            result: of an image.
            header: of that image.
            settings: which things have boxes.
            depth: (h, w) metres, of the same view.
            intrinsics: fx, fy, cx, cy of the depth image.

        Raises:
            FrameError: depth is not registered to the image, or not calibrated.
        """
        if not any(map(outputs.wants, (DETECTIONS_3D, MARKERS))):
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
        found = boxes_3d(result, depth, intrinsics, settings, transform)
        self.problem, self.without_depth = '', found.without_depth
        if outputs.wants(DETECTIONS_3D):
            outputs.send(DETECTIONS_3D, detections_3d(new, found, header))
        if outputs.wants(MARKERS):
            outputs.send(MARKERS, marker_array(new, found, header))

    def close(self) -> None:
        """Stop listening to transforms."""
        if self._lookup is not None:
            self._lookup.close()
