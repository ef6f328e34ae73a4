"""Label a recording: every chosen frame exactly once, in the order of the recording."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from semantic_fast_sam_ros.bags.depth import Depth, DepthPairing, DepthTopic, widened
from semantic_fast_sam_ros.bags.job import LABEL_INFO, LATCHED, Job, OutputTopics
from semantic_fast_sam_ros.bags.messages import (
    TEXT,
    camera_message,
    completed,
    label_info,
    new,
    output_message,
    serialise,
    to_rgb,
)
from semantic_fast_sam_ros.bags.reader import BagReader
from semantic_fast_sam_ros.bags.stages import Stages
from semantic_fast_sam_ros.bags.statistics import Statistics
from semantic_fast_sam_ros.bags.tracking import RecordingTracks
from semantic_fast_sam_ros.bags.types import Message, Topic
from semantic_fast_sam_ros.bags.writer import BagWriter
from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects import box_messages
from semantic_fast_sam_ros.core.objects.boxes_3d import boxes_3d
from semantic_fast_sam_ros.core.outputs import overlay
from semantic_fast_sam_ros.core.outputs.frame_outputs import (
    DETECTIONS_3D,
    FEATURES,
    FEATURES_SPACE,
    MARKERS,
    OVERLAY,
    OVERLAY_JPEG,
    frame_contents,
)
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.video.adapting import Adaptations

Pipeline = Callable[..., SegmentationResult]  # of an RGB image, and what its camera learned
BOX_MESSAGES = {
    DETECTIONS_3D: box_messages.detections_3d,
    MARKERS: box_messages.marker_array,
}


@dataclass(frozen=True)
class Part:
    """The part of a recording that a worker labels; by default all of it."""

    file: int | None = None  # number of the file
    start_ns: int | None = None
    stop_ns: int | None = None


@dataclass
class Work:
    """An input message on its way through the stages."""

    cursor: int  # its number among the messages read
    message: Message
    copied: bool
    again: bool = False  # an earlier run wrote its labels: names only settle by it
    header: Any = None
    image: np.ndarray[Any, np.dtype[np.uint8]] | None = None
    refusal: str = ''
    warning: str = ''
    decode_ms: float = 0.0
    result: SegmentationResult | None = None
    depth: Depth | str = ''  # or why there is none; '' where none is wanted
    stage_ms: dict[str, float] = field(default_factory=dict)


class BagLabeller:
    """One recording in, labels into a writer."""

    def __init__(
        self,
        reader: BagReader,
        cameras: list[str],
        topics: OutputTopics,
        job: Job,
        config: Config,
        statistics: Statistics,
        tracks: RecordingTracks | None = None,
        depth: dict[str, DepthTopic] | None = None,
        space: str = '',
    ) -> None:
        """Prepare.

        Args:
            reader: of the recording.
            cameras: image topics to label.
            topics: where each camera's outputs go.
            job: what is to be labelled.
            config: settings of the pipeline and of its outputs.
            statistics: to add to.
            tracks: of the cameras.
            depth: where each camera's is, for boxes in space.
            space: what vectors of masks are of, for the output `features`.
        """
        self._reader, self._job, self._config = reader, job, config
        self._cameras, self._topics = set(cameras), topics
        self._own = {topic.name for outputs in topics.values() for topic in outputs.values()}
        self._announced: dict[str, dict[int, str]] = {}  # the newest names by camera
        self._adapts = config.clip.adapts
        self._adaptations = Adaptations(config.clip.ul_tta.shared)
        self.statistics = statistics
        self._tracks = tracks
        self._depth = DepthPairing(depth, config.cloud.tolerance_ms) if depth else None
        self._space = space
        self.read_count = 0  # messages, including those skipped
        self.last_ns = 0  # record time of the last message written

    def run(
        self,
        pipeline: Pipeline,
        writer: BagWriter,
        stop: threading.Event,
        done: int = 0,
        part: Part | None = None,
        progress: Callable[[Statistics, int], None] | None = None,
    ) -> None:
        """Label until the recording ends or `stop` is set.

        Args:
            pipeline: an RGB image in, its labels out.
            writer: of the output.
            stop: ends the run after the frames under way.
            done: messages that an earlier run has finished.
            part: of the recording; None for all of it.
            progress: hears of the statistics and the time of each frame written.

        Raises:
            OSError: the output cannot be written.
        """

        def label(work: Work) -> Work:
            if work.image is not None:
                started = time.perf_counter()
                try:
                    work.result = pipeline(work.image, **self._wishes(work))
                except FrameError as error:
                    work.refusal, work.image = str(error), None
                    return work
                elapsed = 1000 * (time.perf_counter() - started)
                work.stage_ms = {'decode': work.decode_ms, **work.result.stage_ms}
                work.stage_ms['pipeline'] = elapsed
            return work

        def write(work: Work) -> None:
            if work.again:
                return
            self._write(work, writer)
            writer.end_of_frame()
            if progress is not None and work.result is not None:
                progress(self.statistics, work.message.time_ns)

        workers = getattr(pipeline, 'concurrent_images', 1)
        Stages(self._works(part or Part(), done), label, write, stop, workers).run()

    def _wishes(self, work: Work) -> dict[str, Any]:
        """Return what an image is asked for beyond its labels, and what these settle into."""
        wishes: dict[str, Any] = {}
        if self._adapts:
            wishes['adaptation'] = self._adaptations.of(work.message.topic.name)
        if FEATURES in self._job.outputs:
            wishes['features'] = True
        return wishes

    def replay(self, message: Message) -> None:
        """Take in a message that an earlier run wrote."""
        self.last_ns = max(self.last_ns, message.time_ns)
        for camera, outputs in self._topics.items():
            if message.topic.name == outputs['label_image'].name:
                image = camera_message(message)
                kind = np.uint8 if image.encoding == 'mono8' else np.uint16
                labels = np.frombuffer(image.data, kind).reshape(image.height, image.width)
                self.statistics.add_labels(camera, message.time_ns, labels)
                return
            if self._tracks and message.topic.name == outputs['detections'].name:
                self._tracks.replay(camera, camera_message(message))
                return
            if message.topic.name == outputs[LABEL_INFO].name:
                found = camera_message(message).class_map
                self._announced[camera] = {c.class_id: c.class_name for c in found}
                return
            if message.topic.name == outputs[OVERLAY_JPEG].name:
                if self.statistics.samples.due():
                    picture = to_rgb(camera_message(message), self._config.input.maximum_pixels)
                    self.statistics.samples.add(message.time_ns, camera, picture)
                return
            if any(message.topic.name == topic.name for topic in outputs.values()):
                return
        self.statistics.copied += 1

    def announced_topics(self) -> set[str]:
        """Return the latched topics of cameras whose label info has been written."""
        return {self._topics[camera][name].name for camera in self._announced for name in LATCHED}

    def names(self) -> dict[int, str]:
        """Return all names that have been written, by id."""
        return {i: name for names in self._announced.values() for i, name in names.items()}

    # Reading

    def _wanted(self, topic: Topic) -> bool:
        if topic.name in self._own:
            return False  # labels of an earlier run: these are the new ones
        if self._depth is not None and self._depth.wants(topic):
            return True
        return topic.name in self._cameras or self._job.copies(topic.name)

    def _works(self, part: Part, done: int) -> Iterator[Work]:
        """Give what is to be done, images decoded, once the depth that they need was read."""
        if self._depth is None:
            for work, _ in self._chosen(part, done):
                if work is not None:
                    yield work
            return
        for work, message in self._chosen(part, done):
            yield from self._depth.ready(message.time_ns)
            self._depth.hear(message)
            if work is not None:
                image = None if work.again or work.image is None else work.header
                self._depth.pass_on(work, message, image)
        yield from self._depth.ready()

    def _chosen(self, part: Part, done: int) -> Iterator[tuple[Work | None, Message]]:
        """Give the messages, each with what is to be done of it; None: nothing."""
        first, last = self._job.window_ns(self._reader.start_ns)
        begin = first if part.start_ns is None else max(first, part.start_ns)
        end = last if part.stop_ns is None else min(last, part.stop_ns)
        # To take every n-th image, those before this part have to be counted too.
        counted = begin if self._job.every == 1 else first
        seen: dict[str, int] = {}
        start, stop = widened(counted, end) if self._depth else (counted, end)
        for message in self._reader.messages(self._wanted, start, stop, part.file):
            name = message.topic.name
            if not counted <= message.time_ns < end:
                yield None, message
                continue
            taken = name in self._cameras and seen.get(name, 0) % self._job.every == 0
            seen[name] = seen.get(name, 0) + 1
            if message.time_ns < begin:
                yield None, message
                continue
            self.read_count += 1
            copied = self._job.copies(name)
            again = self.read_count <= done
            work = None
            if (taken and self._adapts) if again else (taken or copied):
                work = self._decoded(Work(self.read_count, message, copied, again), taken)
            yield work, message

    def _decoded(self, work: Work, taken: bool) -> Work:
        if taken:
            started = time.perf_counter()
            try:
                message = camera_message(work.message)
                work.header = message.header
                # Each image for itself: a resumed or shared run is to give the same labels.
                tone = ToneMapper(self._config.input.mono16)
                work.image = to_rgb(message, self._config.input.maximum_pixels, tone)
                work.warning = tone.warning
            except FrameError as error:
                work.refusal = str(error)
            work.decode_ms = 1000 * (time.perf_counter() - started)
        return work

    # Writing

    def _write(self, work: Work, writer: BagWriter) -> None:
        camera, time_ns = work.message.topic.name, work.message.time_ns
        self.last_ns = max(self.last_ns, time_ns)
        if work.copied:
            topic = completed(work.message.topic)
            note = f'{topic.name} is copied without QoS: its offered_qos_profiles are none'
            if work.message.topic.qos and not topic.qos and note not in self._reader.notes:
                self._reader.notes.append(note)
            writer.write(work.message._replace(topic=topic), work.cursor)
            self.statistics.copied += 1
        if work.refusal:
            self.statistics.refuse(camera, work.refusal)
        if work.warning:
            self.statistics.warn(camera, work.warning)
        if work.result is None or work.image is None:
            return
        topics, header, result = self._topics[camera], work.header, work.result
        started = time.perf_counter()
        if self._tracks is not None:  # here, where images are in their order
            result = self._tracks.update(camera, result, header)
        names = {c.id: c.name for c in result.vocabulary.published}
        if self._announced.get(camera) != names:  # once, but for names found while labelling
            if self._space and camera not in self._announced:
                told = serialise(new(TEXT, data=self._space))
                writer.write(Message(topics[FEATURES_SPACE], time_ns, told), work.cursor)
            self._announced[camera] = names
            info = serialise(label_info(result.vocabulary, header))
            writer.write(Message(topics[LABEL_INFO], time_ns, info), work.cursor)
        settings = self._config.output
        picture = None
        for name, content in frame_contents(work.image, result, settings, self._job.outputs):
            data = serialise(output_message(content, header))
            writer.write(Message(topics[name], time_ns, data), work.cursor)
            if name == OVERLAY:
                picture = content.pixels  # type: ignore[union-attr]
        for name, message in self._boxes(work, result):
            writer.write(Message(topics[name], time_ns, serialise(message)), work.cursor)
        self.statistics.add_labels(camera, time_ns, result.label_map)
        if self.statistics.samples.due():
            if picture is None:
                picture = overlay.overlay(work.image, result, settings)
            self.statistics.samples.add(time_ns, camera, picture)
        work.stage_ms['write'] = 1000 * (time.perf_counter() - started)
        self.statistics.add_timing(work.stage_ms, len(result.mask_ids))

    def _boxes(self, work: Work, result: SegmentationResult) -> Iterator[tuple[str, Any]]:
        """Give the messages of boxes in space; where there are none, the statistics say why."""
        if self._depth is None:
            return
        config, camera = self._config, work.message.topic.name
        try:
            if isinstance(work.depth, str):
                raise FrameError(work.depth)
            view = work.depth.view(config.input.maximum_pixels)
            found = boxes_3d(result, view.metres, view.intrinsics, config.objects)
        except FrameError as error:
            self.statistics.leave_unboxed(camera, str(error))
            return
        for name, build in BOX_MESSAGES.items():
            if name in self._job.outputs:
                yield name, build(new, found, work.header)
