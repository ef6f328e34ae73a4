"""A camera with depth, and somebody who takes boxes in space over DDS."""

from typing import Any

import numpy as np
from harness import BEST_EFFORT, HEIGHT, NAME, WIDTH, Peer, until
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from semantic_fast_sam_ros.ros.conversions import array_to_image

CAMERA, DEPTH, INFO = '/cam/image_raw', '/cam/depth/image_rect', '/cam/depth/camera_info'
FX, FY, CX, CY = 130.0, 128.0, 79.5, 59.5
DISTANCE = 3.0


def info(width: int = WIDTH) -> CameraInfo:
    """Return the calibration of the depth image, which is as large as the camera's."""
    message = CameraInfo(width=width, height=HEIGHT)
    message.k = [FX, 0.0, CX, 0.0, FY, CY, 0.0, 0.0, 1.0]
    return message


class Rig:
    """A camera with depth, and somebody who takes the boxes."""

    def __init__(
        self, peer: Peer, topic: str = DEPTH, kind: Any = Image, calibrated: bool = True
    ) -> None:
        self._peer, self._calibrated = peer, calibrated
        self.boxes = peer.collect(Detection3DArray, f'{NAME}/detections_3d')
        self.markers = peer.collect(MarkerArray, f'{NAME}/objects/markers')
        self.detections = peer.collect(Detection2DArray, f'{NAME}/detections')
        self._camera = peer.camera(CAMERA)
        self._depth = peer.camera(topic, kind, BEST_EFFORT)
        self._info = peer.camera(INFO, CameraInfo, BEST_EFFORT)

    def send(self, sent: Image, depth: Any, told: CameraInfo | None = None) -> Detection2DArray:
        """Send depth and calibration beside an image until it is labelled."""

        def labelled() -> Any:
            self._depth.publish(depth)
            if self._calibrated:
                self._info.publish(told or info())
            return [m for m in self.detections if m.header == sent.header]

        return self._peer.feed(self._camera, sent, labelled)[0]

    def look(self, sent: Image, depth: Any) -> tuple[Any, Any, Any]:
        """Return 2D detections, 3D detections and markers of an image."""

        def found() -> Any:
            flat = self.send(sent, depth)
            stamp = sent.header.stamp  # the frame may be another
            boxes = [m for m in self.boxes if m.header.stamp == stamp]
            markers = [m for m in self.markers if m.markers[0].header.stamp == stamp]
            return boxes and markers and (flat, boxes[-1], markers[-1])

        return until(found, 'boxes and markers')


def beside(sent: Image, pixels: np.ndarray, encoding: str = '32FC1', apart_ns: int = 0) -> Image:
    """Return a depth image taken with an image."""
    header = Header(frame_id=sent.header.frame_id)
    header.stamp.sec = sent.header.stamp.sec
    header.stamp.nanosec = sent.header.stamp.nanosec + apart_ns
    return array_to_image(pixels, encoding, header)


def wall(distance: float = DISTANCE, width: int = WIDTH) -> np.ndarray:
    return np.full((HEIGHT, width), distance, np.float32)
