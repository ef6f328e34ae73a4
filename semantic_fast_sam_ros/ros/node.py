"""The lifecycle node: camera images in, labels, overlays and detections out. Wiring only."""

import traceback
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.timer import Timer
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.networks.memory import free_memory
from semantic_fast_sam_ros.core.objects.track_ids import TrackIds
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config, parse_cameras
from semantic_fast_sam_ros.core.settings.effects import without_effect
from semantic_fast_sam_ros.core.settings.vocabulary import VocabularyHistory
from semantic_fast_sam_ros.ros import diagnostics
from semantic_fast_sam_ros.ros.adaptation import KeptAdaptations, ResetService
from semantic_fast_sam_ros.ros.bonds import ManagerBond
from semantic_fast_sam_ros.ros.budget import describe
from semantic_fast_sam_ros.ros.camera import Camera, Frame
from semantic_fast_sam_ros.ros.diagnostics import CameraState
from semantic_fast_sam_ros.ros.frames import FrameProcessor
from semantic_fast_sam_ros.ros.live_vocabulary import LiveVocabulary
from semantic_fast_sam_ros.ros.parameters import NodeParameters
from semantic_fast_sam_ros.ros.queries import Queries
from semantic_fast_sam_ros.ros.resources import resources
from semantic_fast_sam_ros.ros.shutdown import shut_down
from semantic_fast_sam_ros.ros.statistics import FrameStatistics
from semantic_fast_sam_ros.ros.worker import LatestFrameWorker

NODE_NAME = 'semantic_fast_sam'
DONE, FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SemanticFastSamNode(LifecycleNode):
    """Labels every pixel of camera topics, live."""

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters; everything else happens in the lifecycle transitions."""
        super().__init__(NODE_NAME, **node_arguments)
        self.failed = False
        self._settings = NodeParameters(self)
        self._history = VocabularyHistory()
        self._track_ids = TrackIds()
        self._statistics = FrameStatistics()
        self._cameras: list[Camera] = []
        self._names: LiveVocabulary | None = None
        self._queries: Queries | None = None
        self._adaptations: KeptAdaptations | None = None
        self._frames = FrameProcessor(
            self, lambda: self._settings.current, self._statistics, self._give_up
        )
        self._worker = LatestFrameWorker[Frame](
            self._frames.process,
            self._frames.failed,
            lambda: self._settings.current.min_interval_ms / 1000,
            self._frames.process_all,
            lambda: self._frames.together,
        )
        self._bond = ManagerBond(self)
        ResetService(self, lambda: self._settings.current, lambda: self._adaptations)
        self._setup_problem = ''
        self._diagnostics = diagnostics.Diagnostics(
            self,
            lambda: self._worker.counts,
            self._statistics,
            self._problems,
            self._facts,
            self._named_cameras,
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
        return DONE

    def _set_up(self, config: Config) -> None:
        self._diagnostics.every(config.output.diagnostics_period_s)
        pipeline = SemanticFastSam(config, self._history)
        pipeline.warm_up()
        self._frames.pipeline = pipeline
        queries = Queries(self, pipeline, lambda: self._settings.current)
        self._queries = self._frames.queries = queries
        told = Header(stamp=self.get_clock().now().to_msg())
        self._adaptations = KeptAdaptations(config, pipeline)
        for name in parse_cameras(config.cameras):
            camera = Camera(
                self,
                name,
                lambda: self._settings.current,
                self._receive,
                self._track_ids,
                queries,
                self._adaptations.of(name),
            )
            self._cameras.append(camera)
            camera.outputs.announce(pipeline.vocabulary, told)
        self._names = LiveVocabulary(pipeline, self._names_changed, self._names_failed)
        self._settings.change_vocabulary = self._change_vocabulary
        self._settings.locked = True
        self.get_logger().info(
            f'{config.masks.model} + {self._labeller_name()} on {pipeline.device}, '
            f'{len(pipeline.vocabulary)} classes'
        )
        if unheeded := without_effect(config):
            self.get_logger().warning(unheeded)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker, subscribe."""
        self._frames.reset()
        self._worker.start()
        for camera in self._cameras:
            camera.subscribe()
        topics = ', '.join(camera.topic for camera in self._cameras)
        self.get_logger().info(f'waiting for images on {topics}')
        self._bond.form()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, finish the frame in work."""
        self._bond.end()
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
        self._bond.close()
        self._stop()
        self._release()

    def destroy_node(self) -> None:
        """Leave the graph.

        rclpy leaves the lifecycle's services to the garbage collector, and they keep the node's
        DDS participant: others would go on calling a node that never answers.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _start(self) -> None:
        if self._start_timer is not None:
            self.destroy_timer(self._start_timer)
            self._start_timer = None
        if self._state() == 'unconfigured' and self.trigger_configure() == DONE:
            self.trigger_activate()

    def _stop(self) -> None:
        for camera in self._cameras:
            camera.unsubscribe()
        self._worker.stop()
        if self._adaptations is not None:
            self._adaptations.keep(self.get_logger())

    def _release(self) -> None:
        self._settings.change_vocabulary = None
        if self._names is not None:
            self._names.close()
        for camera in self._cameras:
            camera.destroy()
        self._cameras.clear()
        if self._queries is not None:
            self._queries.close()
        self._names = self._frames.pipeline = self._adaptations = None
        self._queries = self._frames.queries = None
        self._settings.locked = False

    def _give_up(self) -> None:
        self.failed = True
        shut_down(self.context)

    # Events

    def _receive(self, frame: Frame) -> None:
        self._worker.submit(frame, frame.camera.name)

    def _change_vocabulary(self, config: Config) -> None:
        assert self._names is not None
        self._names.change(self._settings.current, config)

    def _names_changed(self, names: str) -> None:
        self.get_logger().info(f'vocabulary: {names}')
        if self._queries is not None:
            self._queries.refresh()

    def _names_failed(self, error: Exception) -> None:
        self._statistics.last_error = f'vocabulary: {error}'
        self.get_logger().error(f'vocabulary not changed: {error}')

    # What the node says of itself

    def _problems(self) -> dict[str, str]:
        problems = {}
        if self._setup_problem:
            problems[diagnostics.SETUP] = f'cannot configure: {self._setup_problem}'
        for camera in self._cameras:
            for kind, text in camera.problems().items():
                problems[f'{kind} {camera.name}'.strip()] = text
        if self._frames.pipeline is not None and self._frames.pipeline.notice:
            problems[diagnostics.NAMES] = self._frames.pipeline.notice
        if self._track_ids.notice:
            problems[diagnostics.TRACKS] = self._track_ids.notice
        if self._queries is not None and (trouble := self._queries.problem()):
            problems[diagnostics.QUERY] = trouble
        return problems | self._frames.problems()

    def _facts(self) -> dict[str, str]:
        config, pipeline = self._settings.current, self._frames.pipeline
        objects = {}
        if config.objects.boxes_3d:
            without = sum(c.boxes.without_depth for c in self._cameras if c.boxes)
            objects['objects_without_depth'] = str(without)
        if config.objects.boxes_3d and config.objects.frame:
            without = sum(c.boxes.without_transform for c in self._cameras if c.boxes)
            objects['images_without_transform'] = str(without)
        return {
            'state': self._state(),
            'device': str(pipeline.device) if pipeline else '',
            'mask_model': config.masks.model,
            'labeller': self._labeller_name(),
            'classes': str(len(pipeline.vocabulary)) if pipeline else '',
            'degradation_step': str(self._frames.budget.step),
            'degradation': describe(config, self._frames.budget.step),
            **(self._queries.facts if self._queries else {}),
            **objects,
            **self._learned(self._cameras),
            **resources(pipeline.device if pipeline else None),
        }

    def _named_cameras(self) -> list[CameraState]:
        return [
            CameraState(c.name, self._worker.counts_of(c.name), c.statistics, self._learned([c]))
            for c in self._cameras
            if c.name
        ]

    def _learned(self, cameras: list[Camera]) -> dict[str, str]:
        """Say what the names have settled into, where they do and all cameras share it."""
        distinct = {camera.adaptation for camera in cameras}
        if not self._settings.current.clip.adapts or len(distinct) != 1:
            return {}
        return {'adaptation': distinct.pop().described()}

    def _labeller_name(self) -> str:
        config = self._settings.current
        return config.dense.model if config.labeller == 'closed_set' else config.labeller

    def _state(self) -> str:
        return str(self._state_machine.current_state[1])
