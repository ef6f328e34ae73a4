"""A frame's way through the node: decode, label, publish; and what follows when it fails."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.errors import NetworkError, first_line
from semantic_fast_sam_ros.core.base.stamps import stamp_ns
from semantic_fast_sam_ros.core.images.decoding import UnknownEncodingError
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.network_outputs import NetworkOutputs
from semantic_fast_sam_ros.core.networks.memory import free_memory, ran_out
from semantic_fast_sam_ros.core.outputs.frame_outputs import FEATURES
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.ros import conversions, field_bridge
from semantic_fast_sam_ros.ros.budget import Budget, degraded, describe
from semantic_fast_sam_ros.ros.camera import Camera, Frame, Message
from semantic_fast_sam_ros.ros.counts import Fate
from semantic_fast_sam_ros.ros.depth import Labelled
from semantic_fast_sam_ros.ros.diagnostics import AGE, RATE, STEADY
from semantic_fast_sam_ros.ros.failures import Failures
from semantic_fast_sam_ros.ros.queries import Queries
from semantic_fast_sam_ros.ros.statistics import FrameStatistics
from semantic_fast_sam_ros.ros.worker import Outcome, Rest, attempt

LOG_PERIOD_S = 5.0
MEMORY_ADVICE = (
    'Caches were freed and the next images get less. If it goes on: lower masks.image_size, '
    'masks.max_masks or clip.batch'
)


@dataclass
class Opened:
    """A frame whose image is decoded."""

    camera: Camera
    header: Header
    config: Config
    image: NDArray[np.uint8]  # (H, W, 3) RGB
    size: tuple[int, int] | None  # of the outputs
    earlier: SegmentationResult | None  # whose labels it takes over
    before: SegmentationResult | None  # of the image before, where temporal settings ask for it
    wait_ms: float  # its age when work on it began
    decode_ms: float
    outputs: NetworkOutputs | None = None  # by the networks, in a pass with other cameras' images
    pass_ms: float = 0.0  # its share of that

    @property
    def known(self) -> tuple[object, ...]:
        """What the pipeline need not find out, as arguments that follow the image."""
        if self.before:
            return self.earlier, self.outputs, self.before
        if self.outputs:
            return self.earlier, self.outputs
        return (self.earlier,) if self.earlier else ()


class FrameProcessor:
    """Labels frames with one pipeline, and publishes; see `process` for the threads."""

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
            give_up: is called when nothing but failures came for too long, see `Failures`.
        """
        self.pipeline: SemanticFastSam | None = None
        self.queries: Queries | None = None
        self._node, self._config = node, config
        self._statistics, self._give_up = statistics, give_up
        self.budget = Budget()
        self._failures = Failures()
        self._pass, self._relieved_pass = 0, -1  # the latter: the last that ran out of memory
        self._too_old_ms: float | None = None  # age of the last image, if it was dropped for it

    def reset(self) -> None:
        """Forget earlier failures and times."""
        self._too_old_ms = None
        self._failures.forget()
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

    @property
    def together(self) -> bool:
        """Whether to take the images of all cameras that wait at once."""
        pipeline, wanted = self.pipeline, self._config().batch_cameras
        if pipeline is None or wanted == 'never' or not pipeline.takes_batches:
            return False
        if self.budget.relieved(time.monotonic()):
            return False  # memory ran out: one image takes the least
        return wanted == 'always' or pipeline.device.type == 'cuda'

    def process(self, frame: Frame) -> Fate | Rest:
        """Label an image, if it is worth it.

        Returns:
            its fate, or, where a GPU labels, a function that publishes what is subscribed to:
            while another thread does that, this one may label the next image. On a CPU the
            networks would only slow it down.
        """
        self._pass += 1
        opened = self._open(frame)
        if isinstance(opened, Fate):
            return opened
        labelled = self._label(opened)
        assert self.pipeline is not None
        if self.pipeline.device.type == 'cpu':
            return self._publish(opened, *labelled)
        return partial(self._publish, opened, *labelled)

    def process_all(self, frames: Sequence[Frame]) -> list[Outcome]:
        """Process images of several cameras; the networks see them in one pass.

        What is wrong with one image costs no other; what goes wrong in the pass costs all in it.
        """
        self._pass += 1
        found = [attempt(self._open, frame) for frame in frames]
        opened = [each for each in found if isinstance(each, Opened)]
        failure = attempt(self._look, opened) if len(opened) > 1 else None
        return [
            each if not isinstance(each, Opened) else failure or attempt(self._finish, each)
            for each in found
        ]

    def _open(self, frame: Frame) -> 'Opened | Fate':
        """Decode an image, if it is worth it."""
        config, camera, header = self._config(), frame.camera, frame.message.header
        if config.rest_without_subscribers and not camera.outputs.subscribed:
            return Fate.IDLE
        age_ms = self._age_ms(header)
        self._too_old_ms = age_ms if 0 < config.max_age_ms < age_ms else None
        if self._too_old_ms is not None:
            return Fate.OLD
        self._adapt(config)
        started = time.perf_counter()
        size = camera.geometry.size(config)
        camera.depth.expect(header)
        camera.tone.mode = config.input.mono16
        image = decode(frame.message, config.input.maximum_pixels, camera.tone)
        decode_ms = 1000 * (time.perf_counter() - started)
        earlier = camera.labels_to_carry(self.budget.label_every)
        before = camera.labels_before() if config.temporal.active else None
        return Opened(camera, header, config, image, size, earlier, before, age_ms, decode_ms)

    def _adapt(self, config: Config) -> None:
        assert self.pipeline is not None
        affordable = degraded(config, self.budget.step)
        if self.pipeline.config != affordable:
            self.pipeline.update(affordable)

    def _look(self, opened: Sequence['Opened']) -> None:
        """Let the networks see images in one pass."""
        assert self.pipeline is not None
        started = time.perf_counter()
        images, carried = [o.image for o in opened], [o.earlier is not None for o in opened]
        found = self.pipeline.run_networks(images, carried)
        share_ms = 1000 * (time.perf_counter() - started) / len(opened)
        for each, outputs in zip(opened, found, strict=True):
            each.outputs, each.pass_ms = outputs, share_ms

    def _finish(self, opened: 'Opened') -> Fate:
        """Label an image and publish."""
        return self._publish(opened, *self._label(opened))

    def _label(self, opened: 'Opened') -> tuple[SegmentationResult, float]:
        """Label an image; return the labels, and the milliseconds that the image took so far."""
        assert self.pipeline is not None
        started = time.perf_counter()
        wishes = self._wishes(opened)
        result = self.pipeline(opened.image, *opened.known, **wishes)
        opened.camera.labelled(result)
        labelled_ms = 1000 * (time.perf_counter() - started)
        return result, opened.decode_ms + opened.pass_ms + labelled_ms

    def _publish(self, opened: 'Opened', result: SegmentationResult, label_ms: float) -> Fate:
        """Publish what is subscribed to, take the time."""
        started = time.perf_counter()
        camera, image, header, config = opened.camera, opened.image, opened.header, opened.config
        result = camera.tracked(result, header)
        calibration = camera.geometry.calibration_for(image.shape[:2])
        found = self.queries.found(result) if self.queries else None
        camera.outputs.publish(
            image, result, config.output, header, opened.size, calibration, found
        )
        camera.recall(result, header, opened.size)
        camera.depth.offer(Labelled(image, result, header, config, found))
        publish_ms = 1000 * (time.perf_counter() - started)
        self._failures.forget()
        stages = {
            'wait': opened.wait_ms,
            'decode': opened.decode_ms,
            **result.stage_ms,
            'publish': publish_ms,
            'frame': label_ms + publish_ms,
        }
        age_ms = self._age_ms(header)  # now that it is published
        for statistics in (self._statistics, camera.statistics):
            statistics.add(stages, age_ms)
            statistics.unlabelled_share = float(np.mean(result.label_map == 0))
        # Images are as far apart as the longer of the two takes.
        self._hold_rate(camera.name, max(label_ms, publish_ms), config)
        return Fate.PROCESSED

    def _wishes(self, opened: 'Opened') -> dict[str, Any]:
        """Return what an image is asked for beyond its labels, and what these settle into."""
        camera, wishes = opened.camera, dict[str, Any]()
        if opened.config.clip.adapts:
            wishes['adaptation'] = camera.adaptation
        if self.queries is not None and camera.outputs.wants_features:
            if camera.outputs.wants(FEATURES):
                self.queries.tell_space()
            wishes['features'] = True
        return wishes

    def _hold_rate(self, camera: str, frame_ms: float, config: Config) -> None:
        before, now_s = self.budget.step, time.monotonic()
        step = self.budget.observe(camera, frame_ms, config.target_rate_hz, now_s)
        if step != before:
            self._node.get_logger().info(
                f'{self.budget.mean_ms:.0f} ms an image with target_rate_hz '
                f'{config.target_rate_hz:g}: degradation now {describe(config, step)}'
            )

    def failed(self, error: Exception) -> None:
        """Log and count a frame's error; give up after too many in a row."""
        if not self._node.context.ok():
            return  # shutting down: publishers are gone
        self._statistics.last_error = f'{type(error).__name__}: {error}'
        log = self._node.get_logger()
        throttle = {'throttle_duration_sec': LOG_PERIOD_S, 'throttle_time_source_type': STEADY}
        if Fate.of(error) is Fate.REFUSED:
            log.warning(f'image refused: {error}', **throttle)
            return
        exhausted, said_nothing = ran_out(error), isinstance(error, NetworkError)
        if exhausted:
            traceback.clear_frames(error.__traceback__)  # they hold the image's tensors
            free_memory()
            if self._relieved_pass != self._pass:  # several cameras' images may have been in it
                self._relieved_pass = self._pass
                self.budget.relieve(time.monotonic())
            log.error(f'image dropped: out of memory: {error}. {MEMORY_ADVICE}', **throttle)
        else:
            text = str(error) if said_nothing else ''.join(traceback.format_exception(error))
            log.error(f'image dropped: {text}', **throttle)
        if why := self._failures.add(exhausted or said_nothing, time.monotonic()):
            log.fatal(f'{why}: giving up; the last: {first_line(error)}')
            self._give_up()

    def _age_ms(self, header: Header) -> float:
        return float(self._node.get_clock().now().nanoseconds - stamp_ns(header)) / 1e6


def decode(message: Message, maximum_pixels: int, tone: ToneMapper) -> NDArray[np.uint8]:
    """Return a message's image as (H, W, 3) RGB; cv_bridge helps with unknown encodings."""
    if not isinstance(message, Image):
        return conversions.compressed_to_rgb(message, maximum_pixels, tone)
    try:
        return conversions.image_to_rgb(message, maximum_pixels, tone)
    except UnknownEncodingError:
        foreign = field_bridge.to_rgb(message, maximum_pixels)
        if foreign is None:
            raise
        return foreign
