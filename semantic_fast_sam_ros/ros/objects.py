"""The boxes of things in space, as messages."""

from typing import ClassVar

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import MarkerArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.boxes_3d import Box3D, Boxes3D, Intrinsics, boxes_3d
from semantic_fast_sam_ros.core.outputs.frame_outputs import DETECTIONS_3D, MARKERS
from semantic_fast_sam_ros.core.settings import things
from semantic_fast_sam_ros.core.settings.objects import ObjectSettings
from semantic_fast_sam_ros.ros.markers import marker_array
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
            outputs.send(DETECTIONS_3D, detections_3d(found, header))
        if outputs.wants(MARKERS):
            outputs.send(MARKERS, marker_array(found, header))

    def close(self) -> None:
        """Stop listening to transforms."""
        if self._lookup is not None:
            self._lookup.close()


def detections_3d(found: Boxes3D, header: Header) -> Detection3DArray:
    """Return one detection a box: ids and classes as in ~/detections."""
    return Detection3DArray(
        header=header, detections=[_detection(box, header) for box in found.boxes]
    )


def _detection(box: Box3D, header: Header) -> Detection3D:
    detection = Detection3D(header=header, id=box.id)
    detection.bbox.center, detection.bbox.size = _pose(box), _vector(box.size)
    covariance = np.zeros((6, 6))  # x, y, z and three turns, of which nothing is known
    covariance[:3, :3] = box.covariance
    for name, score in box.hypotheses:
        answer = ObjectHypothesisWithPose()
        answer.hypothesis.class_id, answer.hypothesis.score = name, score
        answer.pose.pose, answer.pose.covariance = _pose(box), covariance.ravel()
        detection.results.append(answer)
    return detection


def _pose(box: Box3D) -> Pose:
    x, y, z = box.centre
    return Pose(position=Point(x=x, y=y, z=z))


def _vector(values: tuple[float, float, float]) -> Vector3:
    x, y, z = values
    return Vector3(x=x, y=y, z=z)
