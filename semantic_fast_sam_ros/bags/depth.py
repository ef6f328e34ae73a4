"""The depth of a recording's images: of each, what was measured nearest in time.

Which depth an image gets depends on the order of the recording alone, so that a run gives the same
again, also where it goes on.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from semantic_fast_sam_ros.bags.messages import IMAGE, INFO, POINTS, camera_message
from semantic_fast_sam_ros.bags.reader import BagReader
from semantic_fast_sam_ros.bags.types import MAXIMUM_NS, MINIMUM_NS, Message, Topic
from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError
from semantic_fast_sam_ros.core.base.stamps import stamp_ns
from semantic_fast_sam_ros.core.images import calibration
from semantic_fast_sam_ros.core.images.calibration import Calibration, beside
from semantic_fast_sam_ros.core.outputs.depth import DepthView, of_cloud, of_image, too_far

WAIT_NS = 1_000_000_000  # of recording: depth that comes later or came earlier is not looked at


@dataclass(frozen=True)
class DepthTopic:
    """Where the depth of a camera is."""

    name: str
    kind: str  # sensor_msgs/msg/Image or PointCloud2
    info: str = ''  # topic of its calibration; clouds need none
    first: Calibration | None = None  # that comes there


@dataclass(frozen=True)
class Depth:
    """A depth message, with its calibration as it was known then."""

    message: Any
    stamp_ns: int
    recorded_ns: int
    topic: DepthTopic
    known: Calibration | None

    def view(self, maximum_pixels: int) -> DepthView:
        """Return what was measured; raises FrameError."""
        if self.topic.kind == POINTS:
            return of_cloud(self.message, maximum_pixels)
        return of_image(self.message, self.known, self.topic.info, maximum_pixels)


@dataclass
class _Source:
    """The depth of a camera as far as it was read."""

    topic: DepthTopic
    known: Calibration | None
    recent: deque[Depth] = field(default_factory=deque)
    damage: str = ''  # of the newest message that could not be read


@dataclass
class _Held:
    """What is to be done of a message; of an image with the nearest depth so far."""

    work: Any
    time_ns: int  # of its recording
    source: _Source | None = None  # of depth that it waits for
    stamp_ns: int = 0
    nearest: Depth | None = None

    def compare(self, depth: Depth) -> None:
        """Take depth if it is nearer than what there is."""
        best = self.nearest
        apart = abs(depth.stamp_ns - self.stamp_ns)
        if best is None or apart < abs(best.stamp_ns - self.stamp_ns):
            self.nearest = depth


class DepthPairing:
    """Holds images back until their depth was read, and all that follows them in order."""

    def __init__(self, topics: dict[str, DepthTopic], tolerance_ms: float) -> None:
        """Begin with nothing.

        Args:
            topics: of depth, by the camera's topic.
            tolerance_ms: by which stamps of image and depth may differ.
        """
        self._sources = {c: _Source(topic, topic.first) for c, topic in topics.items()}
        self._tolerance_ms = tolerance_ms
        self._names = {t.name for t in topics.values()} | {t.info for t in topics.values()}
        self._held: deque[_Held] = deque()

    def wants(self, topic: Topic) -> bool:
        """Say whether depth, or its calibration, is on a topic."""
        return topic.name in self._names

    def hear(self, message: Message) -> None:
        """Take in the next message of the recording, whatever it is."""
        for source in self._sources.values():
            while source.recent and _apart(source.recent[0].recorded_ns, message.time_ns):
                source.recent.popleft()
            if message.topic.name == source.topic.info:
                self._calibrate(source, message)
            elif message.topic.name == source.topic.name:
                self._add(source, message)

    def pass_on(self, work: Any, message: Message, header: Any = None) -> None:
        """Take in what is to be done of the message heard last.

        Args:
            work: whose `depth` becomes what is found, or a text that says why nothing is.
            message: that it is done with.
            header: of an image that needs depth.
        """
        held = _Held(work, message.time_ns)
        self._held.append(held)
        source = self._sources.get(message.topic.name)
        if header is None or source is None:
            return
        held.source, held.stamp_ns = source, stamp_ns(header)
        for depth in source.recent:
            held.compare(depth)
        if source.recent and source.recent[-1].stamp_ns >= held.stamp_ns:
            self._settle(held)

    def ready(self, time_ns: int | None = None) -> Iterator[Any]:
        """Give what waits no longer at a time of the recording; without one, at its end."""
        for held in self._held:
            if held.source is not None and (time_ns is None or _apart(held.time_ns, time_ns)):
                self._settle(held)
        while self._held and self._held[0].source is None:
            yield self._held.popleft().work

    def _calibrate(self, source: _Source, message: Message) -> None:
        try:
            source.known = calibration.read(camera_message(message))
        except FrameError as error:
            source.damage = str(error)

    def _add(self, source: _Source, message: Message) -> None:
        try:
            read = camera_message(message)
        except FrameError as error:
            source.damage = str(error)
            return
        stamp = stamp_ns(read.header)
        depth = Depth(read, stamp, message.time_ns, source.topic, source.known)
        source.recent.append(depth)
        for held in self._held:
            if held.source is source:
                held.compare(depth)
                if stamp >= held.stamp_ns:  # no later one will be nearer
                    self._settle(held)

    def _settle(self, held: _Held) -> None:
        """Give an image the depth that there is."""
        assert held.source is not None
        topic, damage, nearest = held.source.topic, held.source.damage, held.nearest
        held.source = None
        if nearest is None:
            told = f' ({damage})' if damage else ''
            held.work.depth = f'no depth on {topic.name} within a second{told}'
            return
        what = 'cloud' if topic.kind == POINTS else 'depth image'
        apart_ns = nearest.stamp_ns - held.stamp_ns
        held.work.depth = too_far(apart_ns, self._tolerance_ms, what) or nearest


def _apart(one_ns: int, other_ns: int) -> bool:
    return abs(one_ns - other_ns) > WAIT_NS


def widened(first_ns: int, last_ns: int) -> tuple[int, int]:
    """Return the time in which depth is read for images of a time."""
    return max(MINIMUM_NS, first_ns - WAIT_NS), min(MAXIMUM_NS, last_ns + WAIT_NS)


def depth_topics(
    reader: BagReader, cameras: Sequence[str], wanted: Sequence[str]
) -> dict[str, DepthTopic]:
    """Return where the depth of each camera is.

    Args:
        reader: of the recording.
        cameras: image topics.
        wanted: depth topics, one a camera in their order.

    Raises:
        ConfigError: they are not as many, or a topic is not one of depth with its calibration.
    """
    there = {t.name: t.type for t in reader.topics if t.type in (IMAGE, POINTS, INFO)}
    if len(wanted) != len(cameras):
        listed = ', '.join(_candidates(there, cameras)) or 'none'
        raise ConfigError(
            f'boxes in space take one depth topic a camera: --depth TOPIC for each of '
            f'{", ".join(cameras)}, in this order (depth images and clouds there: {listed})'
        )
    return {
        camera: _depth_topic(reader, there, cameras, name)
        for camera, name in zip(cameras, wanted, strict=True)
    }


def _depth_topic(
    reader: BagReader, there: dict[str, str], cameras: Sequence[str], wanted: str
) -> DepthTopic:
    name = next((n for n in (wanted, f'/{wanted}') if n in there), '')
    kind = there.get(name, '')
    if kind not in (IMAGE, POINTS):
        listed = ', '.join(_candidates(there, cameras)) or 'none'
        raise ConfigError(
            f'no sensor_msgs/msg/Image or PointCloud2 on {wanted} in the recording (there: '
            f'{listed})'
        )
    if kind == POINTS:
        return DepthTopic(name, kind)
    info = beside(name)
    if there.get(info) != INFO:
        raise ConfigError(
            f'the recording has no sensor_msgs/msg/CameraInfo on {info}, which boxes need beside '
            f'{name}'
        )
    return DepthTopic(name, kind, info, _first_calibration(reader, info))


def _candidates(there: dict[str, str], cameras: Iterable[str]) -> list[str]:
    taken = set(cameras)
    return sorted(n for n, kind in there.items() if kind != INFO and n not in taken)


def _first_calibration(reader: BagReader, info: str) -> Calibration | None:
    for message in reader.messages(lambda topic: topic.name == info):
        try:
            return calibration.read(camera_message(message))
        except FrameError:
            continue
    return None
