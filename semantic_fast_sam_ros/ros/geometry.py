"""What messages beside the image say of the outputs: their size, and the camera's calibration."""

from rclpy.lifecycle import LifecycleNode

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.calibration import Calibration
from semantic_fast_sam_ros.core.outputs.frame_outputs import DEPTH_TOPICS
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.node import CAMERA_INFO, IMAGE
from semantic_fast_sam_ros.ros.calibrations import CameraInfoInput
from semantic_fast_sam_ros.ros.outputs import Outputs

DEPTH_TOPIC, CLOUD_TOPIC = 'depth/image', 'depth/points'


class Geometry:
    """The calibrations of one camera and of the depth camera that looks where it does."""

    def __init__(self, node: LifecycleNode, image_topic: str, depth_topic: str) -> None:
        """Name the image topics, as they are before remapping."""
        self.camera = CameraInfoInput(node, image_topic)
        self.depth = CameraInfoInput(node, depth_topic)
        self._mismatch = ''

    def look(self, config: Config, outputs: Outputs) -> None:
        """Listen to what outputs and settings need now. Runs on the executor's thread."""
        self.camera.need(outputs.wants(CAMERA_INFO))
        of_depth = config.cloud.source == IMAGE and any(map(outputs.wants, DEPTH_TOPICS))
        self.depth.need(config.output.size == CAMERA_INFO or of_depth)

    def close(self) -> None:
        """Stop listening."""
        self.camera.need(False)
        self.depth.need(False)

    def size(self, config: Config) -> tuple[int, int] | None:
        """Return height and width of the outputs where a CameraInfo gives them, else None.

        Raises:
            FrameError: it is not known yet, or no size of an image.
        """
        if config.output.size != CAMERA_INFO:
            return None
        calibration = self.depth.calibration
        if calibration is None:
            raise FrameError(
                f'output.size is camera_info, and nothing came on {self.depth.topic} yet'
            )
        height, width = calibration.image_size
        if not 0 < height * width <= config.input.maximum_pixels:
            raise FrameError(f'{self.depth.topic} describes images of {width}x{height}')
        return height, width

    def calibration_for(self, size: tuple[int, int]) -> Calibration | None:
        """Return the camera's calibration if it is one of images of (height, width)."""
        calibration = self.camera.calibration
        if calibration is None or calibration.image_size == size:
            self._mismatch = ''
            return calibration
        (height, width), (told_height, told_width) = size, calibration.image_size
        self._mismatch = (
            f'{self.camera.topic} describes images of {told_width}x{told_height}, but they are '
            f'{width}x{height}: ~/camera_info is not published'
        )
        return None

    def problem(self) -> str:
        """Return what is wrong with the calibrations; '' if nothing is."""
        found = [self.camera.problem(), self.depth.problem(), self._mismatch]
        return '; '.join(text for text in found if text)
