"""The lifecycle node: camera images in, labels, overlays and detections out. Wiring only."""

import gc
import time
import traceback
from typing import Any, TypeAlias

import torch
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.subscription import Subscription
from rclpy.time import Time
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.config import Config
from semantic_fast_sam_ros.core.errors import FrameError, SemanticFastSamError
from semantic_fast_sam_ros.core.open_vocabulary import requested, required
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.vocabulary import Vocabulary, VocabularyHistory
from semantic_fast_sam_ros.ros import connections, conversions, diagnostics, qos
from semantic_fast_sam_ros.ros.outputs import Outputs
from semantic_fast_sam_ros.ros.parameters import NodeParameters
from semantic_fast_sam_ros.ros.statistics import FrameStatistics
from semantic_fast_sam_ros.ros.worker import LatestFrameWorker

NODE_NAME = 'semantic_fast_sam'
INPUT_TOPIC = 'image'
LOG_PERIOD_S = 5.0
# So many unexpected errors in a row are no accident: the process ends, for launch to respawn it.
FATAL_FAILURES = 50
DONE, FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
Message: TypeAlias = 'Image | CompressedImage'


class SemanticFastSamNode(LifecycleNode):
    """Labels every pixel of a camera topic, live."""

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters; everything else happens in the lifecycle transitions."""
        super().__init__(NODE_NAME, **node_arguments)
        self.failed = False
        self._settings = NodeParameters(self)
        self._history = VocabularyHistory()
        self._statistics = FrameStatistics()
        self._pipeline: SemanticFastSam | None = None
        self._outputs: Outputs | None = None
        self._subscription: Subscription | None = None
        self._worker = LatestFrameWorker[Message](self._process, self._frame_failed)
        # Encodes new names on a thread of its own, so that neither images nor services wait.
        self._vocabulary_worker = LatestFrameWorker[Vocabulary](
            self._set_vocabulary, self._vocabulary_failed
        )
        self._failures_in_a_row = 0
        self._last_image = time.monotonic()
        self._setup_problem = ''
        self._diagnostics = diagnostics.Diagnostics(
            self, lambda: self._worker.counts, self._statistics, self._problems, self._facts
        )
        self._diagnostics.every(self._settings.current.output.diagnostics_period_s)
        self._start_timer: Timer | None = None
        if self._settings.current.autostart:
            self._start_timer = self.create_timer(0.0, self._start, clock=diagnostics.STEADY)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models, warm up, create the publishers."""
        try:
            self._set_up(self._settings.configuration())
        except Exception as error:  # a transition may fail, the process may not
            self._release()
            known = isinstance(error, SemanticFastSamError)
            self._setup_problem = str(error) if known else f'{type(error).__name__}: {error}'
            reason = self._setup_problem if known else traceback.format_exc()
            self.get_logger().error(f'cannot configure: {reason}')
            return FAILED
        self._setup_problem = ''
        self._settings.locked = True
        self._settings.change_vocabulary = self._change_vocabulary
        self._vocabulary_worker.start()
        return DONE

    def _set_up(self, config: Config) -> None:
        self._diagnostics.every(config.output.diagnostics_period_s)
        pipeline = SemanticFastSam(config, self._history)
        pipeline.warm_up()
        self._pipeline = pipeline
        self._outputs = Outputs(self, config.output)
        self._outputs.announce(pipeline.vocabulary, Header(stamp=self.get_clock().now().to_msg()))
        self.get_logger().info(
            f'{config.masks.model} + {self._labeller_name()} on {pipeline.device}, '
            f'{len(pipeline.vocabulary)} classes'
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker, subscribe."""
        settings = self._settings.current.input
        self._last_image = time.monotonic()
        self._failures_in_a_row = 0
        self._worker.start()
        compressed = settings.transport == 'compressed'
        self._subscription = self.create_subscription(
            CompressedImage if compressed else Image,
            self._input_topic(),
            self._receive,
            qos.input_qos(settings.reliability),
            # Publishers that cannot be heard are reported by ros/connections.py.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
        self.get_logger().info(f'waiting for images on {self._subscription.topic_name}')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, finish the frame in work."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the memory of the models back."""
        self._release()
        free_memory()
        return DONE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from whatever state."""
        self.close()
        free_memory()
        return DONE

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that raised."""
        self.close()
        return DONE

    def close(self) -> None:
        """Stop the work and release everything; may be called twice."""
        self._stop()
        self._release()

    def _start(self) -> None:
        if self._start_timer is not None:
            self.destroy_timer(self._start_timer)
            self._start_timer = None
        if self._state() == 'unconfigured' and self.trigger_configure() == DONE:
            self.trigger_activate()

    def _stop(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        self._worker.stop()

    def _release(self) -> None:
        self._settings.change_vocabulary = None
        self._vocabulary_worker.stop()
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = self._pipeline = None
        self._settings.locked = False

    # Frames

    def _receive(self, message: Message) -> None:
        self._last_image = time.monotonic()
        self._worker.submit(message)

    def _process(self, message: Message) -> None:
        """Label one image and publish what is subscribed to. Runs on the worker's thread."""
        pipeline, outputs = self._pipeline, self._outputs
        assert pipeline is not None and outputs is not None
        config = self._settings.current
        if pipeline.config is not config:
            pipeline.update(config)
        started = time.perf_counter()
        raw = isinstance(message, Image)
        decode = conversions.image_to_rgb if raw else conversions.compressed_to_rgb
        image = decode(message, config.input.maximum_pixels)
        decoded = time.perf_counter()
        result = pipeline(image)
        labelled = time.perf_counter()
        outputs.publish(image, result, config.output, message.header)
        published = time.perf_counter()
        self._failures_in_a_row = 0
        stages = {
            'decode': 1000 * (decoded - started),
            **result.stage_ms,
            'publish': 1000 * (published - labelled),
            'frame': 1000 * (published - started),
        }
        self._statistics.add(stages, self._age_ms(message.header))

    def _frame_failed(self, error: Exception) -> None:
        """Log and count a frame's error; give up after many unexpected ones in a row."""
        if not self.context.ok():
            return  # shutting down: publishers are gone
        self._statistics.last_error = f'{type(error).__name__}: {error}'
        if isinstance(error, FrameError):
            self.get_logger().warning(
                f'image refused: {error}', throttle_duration_sec=LOG_PERIOD_S
            )
            return
        self._failures_in_a_row += 1
        text = ''.join(traceback.format_exception(error))
        self.get_logger().error(f'image dropped: {text}', throttle_duration_sec=LOG_PERIOD_S)
        if self._failures_in_a_row >= FATAL_FAILURES:
            self.get_logger().fatal(f'{FATAL_FAILURES} images failed in a row: giving up')
            self.failed = True
            self.context.try_shutdown()

    # Live vocabulary

    def _change_vocabulary(self, config: Config) -> None:
        """Check new names and hand them over; raises ConfigError with the reason to refuse."""
        assert self._pipeline is not None
        if not self._pipeline.open_vocabulary and requested(config) == requested(
            self._settings.current
        ):
            return  # set to what it is
        vocabulary = required(config)
        self._pipeline.check_vocabulary(vocabulary)
        self._vocabulary_worker.submit(vocabulary)

    def _set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Encode names and swap them in between two images. Runs on its own thread."""
        assert self._pipeline is not None
        self._pipeline.set_vocabulary(vocabulary)
        self.get_logger().info(f'vocabulary: {", ".join(vocabulary.names[:20])}')

    def _vocabulary_failed(self, error: Exception) -> None:
        self._statistics.last_error = f'vocabulary: {error}'
        self.get_logger().error(f'vocabulary not changed: {error}')

    def _age_ms(self, header: Header) -> float:
        now = self.get_clock().now()
        stamp = Time.from_msg(header.stamp, clock_type=now.clock_type)
        return float((now - stamp).nanoseconds) / 1e6

    # What the node says of itself

    def _problems(self) -> dict[str, str]:
        problems = {}
        if self._setup_problem:
            problems[diagnostics.SETUP] = f'cannot configure: {self._setup_problem}'
        if self._subscription is not None:
            problems[diagnostics.INPUT] = connections.input_problem(self, self._subscription)
            problems[diagnostics.SILENCE] = self._silence(self._subscription.topic_name)
        if self._outputs is not None:
            publishers = self._outputs.publishers
            problems[diagnostics.OUTPUT] = connections.output_problem(self, publishers)
        return {kind: text for kind, text in problems.items() if text}

    def _silence(self, topic: str) -> str:
        silent_s = time.monotonic() - self._last_image
        if silent_s <= self._settings.current.input.timeout_s:
            return ''
        publishers = self.count_publishers(topic)
        plural = '' if publishers == 1 else 's'
        return f'no image on {topic} for {silent_s:.0f} s ({publishers} publisher{plural} there)'

    def _facts(self) -> dict[str, str]:
        config = self._settings.current
        return {
            'state': self._state(),
            'device': str(self._pipeline.device) if self._pipeline else '',
            'mask_model': config.masks.model,
            'labeller': self._labeller_name(),
            'classes': str(len(self._pipeline.vocabulary)) if self._pipeline else '',
        }

    def _labeller_name(self) -> str:
        config = self._settings.current
        return config.dense.model if config.labeller == 'closed_set' else config.labeller

    def _input_topic(self) -> str:
        # Resolved first: a remapping of `image` is to move `image/compressed` with it.
        topic = str(self.resolve_topic_name(INPUT_TOPIC))
        compressed = self._settings.current.input.transport == 'compressed'
        return f'{topic}/compressed' if compressed else topic

    def _state(self) -> str:
        return str(self._state_machine.current_state[1])


def free_memory() -> None:
    """Give the memory of models that nobody holds any more back to the machine."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
