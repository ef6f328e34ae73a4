"""The lifecycle node: camera images in, labels, overlays and detections out. Wiring only."""

import gc
import sys
import time
import traceback
from typing import TypeAlias

import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.event_handler import (
    PublisherEventCallbacks,
    QoSOfferedIncompatibleQoSInfo,
    QoSRequestedIncompatibleQoSInfo,
    SubscriptionEventCallbacks,
)
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.subscription import Subscription
from rclpy.time import Time
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.errors import FrameError, SemanticFastSamError
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.vocabulary import VocabularyHistory
from semantic_fast_sam_ros.ros import conversions, diagnostics, qos
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

    def __init__(self, **node_arguments: object) -> None:
        """Declare the parameters; everything else happens in the lifecycle transitions."""
        super().__init__(NODE_NAME, **node_arguments)
        self.failed = False
        self._parameters = NodeParameters(self)
        self._history = VocabularyHistory()
        self._statistics = FrameStatistics()
        self._pipeline: SemanticFastSam | None = None
        self._outputs: Outputs | None = None
        self._subscription: Subscription | None = None
        self._worker = LatestFrameWorker[Message](self._process, self._frame_failed)
        self._failures_in_a_row = 0
        self._last_image = time.monotonic()
        self._qos_problem = ''
        self._setup_problem = ''
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        period = self._parameters.current.output.diagnostics_period_s
        self._diagnostics_timer = self.create_timer(period, self._publish_diagnostics)
        self._start_timer: Timer | None = None
        if self._parameters.current.autostart:
            self._start_timer = self.create_timer(0.0, self._start)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models, warm up, create the publishers."""
        try:
            config = self._parameters.configuration()
            pipeline = SemanticFastSam(config, self._history)
            pipeline.warm_up()
        except SemanticFastSamError as error:
            self._setup_problem = str(error)
            self.get_logger().error(f'cannot configure: {error}')
            return FAILED
        except Exception as error:  # noqa: BLE001 - a transition may fail, the process may not
            self._setup_problem = f'{type(error).__name__}: {error}'
            self.get_logger().error(f'cannot configure: {traceback.format_exc()}')
            return FAILED
        self._setup_problem = ''
        self._pipeline = pipeline
        self._parameters.locked = True
        events = PublisherEventCallbacks(incompatible_qos=self._output_mismatch)
        self._outputs = Outputs(self, config.output, events)
        self._outputs.announce(pipeline.vocabulary, Header(stamp=self.get_clock().now().to_msg()))
        self.get_logger().info(
            f'{config.masks.model} + {self._labeller_name()} on {pipeline.device}, '
            f'{len(pipeline.vocabulary)} classes'
        )
        return DONE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker, subscribe."""
        settings = self._parameters.current.input
        self._last_image = time.monotonic()
        self._worker.start()
        compressed = settings.transport == 'compressed'
        self._subscription = self.create_subscription(
            CompressedImage if compressed else Image,
            self._input_topic(),
            self._receive,
            qos.input_qos(settings.reliability),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._input_mismatch),
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
        return DONE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from whatever state."""
        self.close()
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
        if self.trigger_configure() == DONE:
            self.trigger_activate()

    def _stop(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        self._worker.stop()

    def _release(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = self._pipeline = None
        self._parameters.locked = False
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    # Frames

    def _receive(self, message: Message) -> None:
        self._last_image = time.monotonic()
        self._worker.submit(message)

    def _process(self, message: Message) -> None:
        """Label one image and publish what is subscribed to. Runs on the worker's thread."""
        pipeline, outputs = self._pipeline, self._outputs
        assert pipeline is not None and outputs is not None
        config = self._parameters.current
        if pipeline.config is not config:
            pipeline.update(config)
        started = time.perf_counter()
        decode = (
            conversions.image_to_rgb if isinstance(message, Image) else conversions.compressed_to_rgb
        )
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

    def _age_ms(self, header: Header) -> float:
        now = self.get_clock().now()
        stamp = Time.from_msg(header.stamp, clock_type=now.clock_type)
        return float((now - stamp).nanoseconds) / 1e6

    # What the node says of itself

    def _publish_diagnostics(self) -> None:
        problems = self._problems()
        for problem in problems:
            self.get_logger().warning(problem, throttle_duration_sec=10 * LOG_PERIOD_S)
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            diagnostics.status(
                self.get_fully_qualified_name(),
                problems,
                self._worker.counts,
                self._statistics,
                self._facts(),
            )
        ]
        self._diagnostics.publish(message)

    def _problems(self) -> list[str]:
        problems = [f'cannot configure: {self._setup_problem}'] if self._setup_problem else []
        if self._qos_problem:
            problems.append(self._qos_problem)
        silent_s = time.monotonic() - self._last_image
        if self._subscription is not None and silent_s > self._parameters.current.input.timeout_s:
            topic = self._subscription.topic_name
            publishers = self.count_publishers(topic)
            problems.append(
                f'no image on {topic} for {silent_s:.0f} s '
                f'({publishers} publisher{"" if publishers == 1 else "s"} there)'
            )
        return problems

    def _facts(self) -> dict[str, str]:
        config = self._parameters.current
        return {
            'state': self._state_machine.current_state[1],
            'device': str(self._pipeline.device) if self._pipeline else '',
            'mask_model': config.masks.model,
            'labeller': self._labeller_name(),
            'classes': str(len(self._pipeline.vocabulary)) if self._pipeline else '',
        }

    def _labeller_name(self) -> str:
        config = self._parameters.current
        return config.dense.model if config.labeller == 'closed_set' else config.labeller

    def _input_topic(self) -> str:
        # Resolved first: a remapping of `image` is to move `image/compressed` with it.
        topic = str(self.resolve_topic_name(INPUT_TOPIC))
        compressed = self._parameters.current.input.transport == 'compressed'
        return f'{topic}/compressed' if compressed else topic

    def _input_mismatch(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        self._qos_problem = (
            f'a publisher of {self._input_topic()} does not offer what this node asks for '
            f'({event.last_policy_kind}): set input.reliability to best_effort'
        )
        self.get_logger().warning(self._qos_problem)

    def _output_mismatch(self, event: QoSOfferedIncompatibleQoSInfo) -> None:
        self._qos_problem = (
            f'a subscriber asks for more than this node offers ({event.last_policy_kind}): '
            'set output.reliability to reliable, or change the subscriber'
        )
        self.get_logger().warning(self._qos_problem)


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or a fatal error; return the exit code."""
    rclpy.init(args=args)
    node: SemanticFastSamNode | None = None
    try:
        node = SemanticFastSamNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 1 if node is None or node.failed else 0


if __name__ == '__main__':
    sys.exit(main())
