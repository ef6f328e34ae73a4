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
from semantic_fast_sam_ros.core.types import SegmentationResult
from semantic_fast_sam_ros.ros import conversions
from semantic_fast_sam_ros.ros.budget import Budget, degraded, describe
from semantic_fast_sam_ros.ros.camera import Frame, Message
from semantic_fast_sam_ros.ros.counts import Fate
from semantic_fast_sam_ros.ros.diagnostics import AGE, RATE, STEADY
from semantic_fast_sam_ros.ros.points import Labelled
from semantic_fast_sam_ros.ros.statistics import FrameStatistics

LOG_PERIOD_S = 5.0
# So many unexpected errors in a row are no accident: the process ends, for launch to respawn it.
FATAL_FAILURES = 50
MEMORY_ADVICE = (
    'Caches were freed and the next images get less. If it goes on: lower masks.image_size, '
    'masks.max_masks or clip.batch'
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
        self.budget = Budget()
        self._failures_in_a_row = 0
        self._too_old_ms: float | None = None  # age of the last image, if it was dropped for it

    def reset(self) -> None:
        """Forget earlier failures and times."""
        self._failures_in_a_row, self._too_old_ms = 0, None
        self.budget.reset()

    def problems(self) -> dict[str, str]:
        """Return what keeps the wanted rate or age from being held, by kind."""
        config, too_old_ms, problems = self._config(), self._too_old_ms, {}
        if self.budget.step:
            problems[RATE] = f'degraded to hold {config.target_rate_hz:g} Hz'
            if self.budget.relieved(time.monotonic()):
                problems[RATE] = 'degraded, as the memory ran out'
            elif self.budget.exceeded:
                problems[RATE] = (
                    f'target_rate_hz {config.target_rate_hz:g} is not held: '
                    f'{self.budget.mean_ms:.0f} ms an image'
                )
            problems[RATE] += f', {describe(config, self.budget.step)}'
        if too_old_ms is not None:
            problems[AGE] = (
                f'images are dropped, the last one {too_old_ms / 1000:.3f} s old '
                f'(max_age_ms {config.max_age_ms:g}): if that is not true, camera and node have '
                'different clocks; recordings want use_sim_time and --clock'
            )
        return problems

    def process(self, frame: Frame) -> Fate:
        """Label an image and publish what is subscribed to, if it is worth it."""
        config = self._config()
        if config.rest_without_subscribers and not frame.camera.outputs.subscribed:
            return Fate.IDLE
        age_ms = self._age_ms(frame.message.header)
        self._too_old_ms = age_ms if 0 < config.max_age_ms < age_ms else None
        if self._too_old_ms is not None:
            return Fate.OLD
        result, stages = self._label(frame, config)
        self._failures_in_a_row = 0
        age_ms = self._age_ms(frame.message.header)  # now that it is published
        for statistics in (self._statistics, frame.camera.statistics):
            statistics.add(stages, age_ms)
            statistics.unlabelled_share = float(np.mean(result.label_map == 0))
        self._hold_rate(frame.camera.name, stages['frame'], config)
        return Fate.PROCESSED

    def _label(self, frame: Frame, config: Config) -> tuple[SegmentationResult, dict[str, float]]:
        """Decode, label, publish; return the labels, and the milliseconds by stage."""
        pipeline, camera = self.pipeline, frame.camera
        assert pipeline is not None
        affordable = degraded(config, self.budget.step)
        if pipeline.config != affordable:
            pipeline.update(affordable)
        started = time.perf_counter()
        size = camera.geometry.size(config)
        camera.points.expect(frame.message.header)
        image = _decode(frame.message, config.input.maximum_pixels)
        decoded = time.perf_counter()
        earlier = camera.labels_to_carry(self.budget.label_every)
        result = pipeline(image, earlier) if earlier else pipeline(image)
        camera.labelled(result)
        labelled = time.perf_counter()
        header, calibration = (
            frame.message.header,
            camera.geometry.calibration_for(image.shape[:2]),
        )
        camera.outputs.publish(image, result, config.output, header, size, calibration)
        camera.points.offer(Labelled(image, result, header, config))
        published = time.perf_counter()
        return result, {
            'decode': 1000 * (decoded - started),
            **result.stage_ms,
            'publish': 1000 * (published - labelled),
            'frame': 1000 * (published - started),
        }

    def _hold_rate(self, camera: str, frame_ms: float, config: Config) -> None:
        before, now_s = self.budget.step, time.monotonic()
        step = self.budget.observe(camera, frame_ms, config.target_rate_hz, now_s)
        if step != before:
            self._node.get_logger().info(
                f'{self.budget.mean_ms:.0f} ms an image with target_rate_hz '
                f'{config.target_rate_hz:g}: degradation now {describe(config, step)}'
            )

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
            self.budget.relieve(time.monotonic())
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
