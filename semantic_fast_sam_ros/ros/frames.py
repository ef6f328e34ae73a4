"""A frame's way through the node: decode, label, publish; and what follows when it fails."""

import time
import traceback
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.config import Config
from semantic_fast_sam_ros.core.errors import FrameError
from semantic_fast_sam_ros.core.memory import free_memory, ran_out
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.ros import conversions
from semantic_fast_sam_ros.ros.camera import Frame, Message
from semantic_fast_sam_ros.ros.counts import Fate
from semantic_fast_sam_ros.ros.diagnostics import STEADY
from semantic_fast_sam_ros.ros.points import Labelled
from semantic_fast_sam_ros.ros.statistics import FrameStatistics

LOG_PERIOD_S = 5.0
# So many unexpected errors in a row are no accident: the process ends, for launch to respawn it.
FATAL_FAILURES = 50
MEMORY_ADVICE = (
    'Caches were freed. If it goes on: lower masks.image_size, masks.max_masks or clip.batch'
)


class FrameProcessor:
    """Labels frames with one pipeline. Runs on the worker's thread."""

    def __init__(
        self,
        node: Node,
        config: Callable[[], Config],
        statistics: FrameStatistics,
        give_up: Callable[[], None],
    ) -> None:
        """Name the surroundings.

        Args:
            node: for its clock and its log.
            config: gives the settings as they stand.
            statistics: of all cameras.
            give_up: is called after many unexpected errors in a row.
        """
        self.pipeline: SemanticFastSam | None = None
        self._node, self._config = node, config
        self._statistics, self._give_up = statistics, give_up
        self._failures_in_a_row = 0

    def reset(self) -> None:
        """Forget earlier failures."""
        self._failures_in_a_row = 0

    def process(self, frame: Frame) -> Fate:
        """Label an image and publish what is subscribed to."""
        pipeline, outputs, message = self.pipeline, frame.camera.outputs, frame.message
        geometry, points = frame.camera.geometry, frame.camera.points
        assert pipeline is not None
        config = self._config()
        if config.rest_without_subscribers and not outputs.subscribed:
            return Fate.IDLE
        if 0 < config.max_age_ms < self._age_ms(message.header):
            return Fate.OLD
        if pipeline.config is not config:
            pipeline.update(config)
        started = time.perf_counter()
        size = geometry.size(config)
        points.expect(message.header)
        image = _decode(message, config.input.maximum_pixels)
        decoded = time.perf_counter()
        result = pipeline(image)
        labelled = time.perf_counter()
        calibration = geometry.calibration_for(image.shape[:2])
        outputs.publish(image, result, config.output, message.header, size, calibration)
        points.offer(Labelled(image, result, message.header, config))
        published = time.perf_counter()
        self._failures_in_a_row = 0
        stages = {
            'decode': 1000 * (decoded - started),
            **result.stage_ms,
            'publish': 1000 * (published - labelled),
            'frame': 1000 * (published - started),
        }
        age_ms = self._age_ms(message.header)
        for statistics in (self._statistics, frame.camera.statistics):
            statistics.add(stages, age_ms)
            statistics.unlabelled_share = float(np.mean(result.label_map == 0))
        return Fate.PROCESSED

    def failed(self, error: Exception) -> None:
        """Log and count a frame's error; give up after many unexpected ones in a row."""
        if not self._node.context.ok():
            return  # shutting down: publishers are gone
        self._statistics.last_error = f'{type(error).__name__}: {error}'
        log = self._node.get_logger()
        throttle = {'throttle_duration_sec': LOG_PERIOD_S, 'throttle_time_source_type': STEADY}
        if isinstance(error, FrameError):
            log.warning(f'image refused: {error}', **throttle)
            return
        self._failures_in_a_row += 1
        if ran_out(error):
            traceback.clear_frames(error.__traceback__)  # they hold the image's tensors
            free_memory()
            log.error(f'image dropped: out of memory: {error}. {MEMORY_ADVICE}', **throttle)
        else:
            text = ''.join(traceback.format_exception(error))
            log.error(f'image dropped: {text}', **throttle)
        if self._failures_in_a_row >= FATAL_FAILURES:
            log.fatal(f'{FATAL_FAILURES} images failed in a row: giving up')
            self._give_up()

    def _age_ms(self, header: Header) -> float:
        # Not rclpy's Time: it takes no stamp before 1970, and a driver may send one.
        stamp_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
        return float(self._node.get_clock().now().nanoseconds - stamp_ns) / 1e6


def _decode(message: Message, maximum_pixels: int) -> NDArray[np.uint8]:
    raw = isinstance(message, Image)
    decode = conversions.image_to_rgb if raw else conversions.compressed_to_rgb
    return decode(message, maximum_pixels)
