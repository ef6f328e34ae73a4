"""Which topics of a recording are cameras: their first messages say, not their names."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

from semantic_fast_sam_ros.bags.job import CHOICES, NODE, matches
from semantic_fast_sam_ros.bags.messages import IMAGE, IMAGE_TYPES, camera_message, to_rgb
from semantic_fast_sam_ros.bags.reader import BagReader, TopicCount
from semantic_fast_sam_ros.bags.types import Topic
from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError
from semantic_fast_sam_ros.core.images.files import UnknownFormatError
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.outputs.frame_outputs import HEAT
from semantic_fast_sam_ros.core.settings.node import InputSettings

SAMPLES = 5  # messages of a topic that are looked at, first and midway: some may be damaged
# Depth, disparity, confidence: numbers, not pictures. (8UC1 and 8UC3 are pictures, mono16 too.)
MEASUREMENT = re.compile(r'(8S|16[US]|32[SF]|64F)C\d*\b')
COMPRESSED = '/compressed'  # what image_transport adds to a topic's name
PICTURES = re.compile(r'jpe?g|png', re.IGNORECASE)
PICTURE_TYPES = re.compile(r'image|video|ffmpeg|theora', re.IGNORECASE)
CONVERSIONS = {
    'ros1': 'it was converted from a ROS 1 bag: convert that one by rosbags-convert '
    '--src drive.bag --dst drive (it comes with this package)',
    'protobuf': 'decode them with the Python package mcap-protobuf-support and write '
    'sensor_msgs/msg/CompressedImage with mcap-ros2-support',
}
OTHER_CONVERSION = 'decode them and write sensor_msgs/msg/CompressedImage with mcap-ros2-support'


def choose_cameras(
    reader: BagReader,
    wanted: Sequence[str],
    settings: InputSettings | None = None,
    used: Sequence[str] = (),
) -> list[str]:
    """Return the image topics to label; what is left out for its content is noted in the reader.

    Args:
        reader: of the recording.
        wanted: names or patterns; empty for every camera: neither depth and other measurements,
            nor formats that are not decoded, nor outputs of a labelling node, nor the compressed
            twin of a topic that is there raw.
        settings: of the input, which say what is a picture.
        used: topics that are read as something else, such as depth: not noted.

    Raises:
        ConfigError: a name is not that of an image topic, or there is none at all.
    """
    images = {
        t.name: t for t in reader.topics if t.type in IMAGE_TYPES and t.serialization == 'cdr'
    }
    if wanted:
        return _matching(sorted(images), wanted)
    settings = settings or InputSettings()
    owned = _outputs(reader.topics)
    reasons = {
        name: _why_not(reader, t, settings)
        for name, t in sorted(images.items())
        if name not in owned
    }
    good = [name for name, reason in reasons.items() if not reason]
    # What is damaged is a camera all the same, whose images are counted.
    cameras = good + [
        n for n, r in reasons.items() if isinstance(r, Doubt) and _twin(n) not in good
    ]
    if not cameras:
        raise ConfigError(_nothing(reader.topics, reasons))
    twins = _twins(cameras, images)
    left_out = {name: reason for name, reason in reasons.items() if reason not in ('', EMPTY)}
    told = {*cameras, *used, *(f'/{name}' for name in used)}
    reader.notes += [
        f'{name} is left out: {reason}' for name, reason in left_out.items() if name not in told
    ]
    return [name for name in cameras if name not in twins]


def _twins(cameras: Sequence[str], images: dict[str, TopicCount]) -> set[str]:
    """Return the topics whose images others have, too: raw ones are as the camera took them."""
    twins = set()
    for name in cameras:
        raw = name.removesuffix(COMPRESSED)
        if raw != name and raw in cameras:
            few = 2 * (images[raw].messages or 0) < (images[name].messages or 0)
            twins.add(raw if few else name)
    return twins


def _twin(name: str) -> str:
    """Return the topic on which the same images would be in the other form."""
    raw = name.removesuffix(COMPRESSED)
    return raw if raw != name else name + COMPRESSED


class Doubt(str):
    """A reason that damage may be the cause of."""


EMPTY = 'no messages'
OUTPUTS = (*CHOICES, HEAT)  # of a node, that look like cameras' images


def _matching(images: Sequence[str], wanted: Sequence[str]) -> list[str]:
    chosen: list[str] = []
    for pattern in wanted:
        found = [name for name in images if matches(name, pattern)]
        if not found:
            listed = ', '.join(images) or 'none'
            raise ConfigError(f'no image topic {pattern} in the recording (there: {listed})')
        chosen += [name for name in found if name not in chosen]
    return chosen


def _outputs(topics: Sequence[TopicCount]) -> set[str]:
    """Return the topics that a labelling node wrote: its label_info stands beside them."""
    nodes = [t.name.removesuffix('/label_info') for t in topics if t.type.endswith('/LabelInfo')]
    own = {f'{node}/{output}' for node in nodes for output in OUTPUTS}
    names = {topic.name for topic in topics}
    return (own & names) | {
        name for name in names for output in OUTPUTS if name.endswith(f'{NODE}/{output}')
    }


def _why_not(reader: BagReader, topic: TopicCount, settings: InputSettings) -> str:
    """Return why a topic is no camera, or '' if one of its first messages is a picture."""
    if topic.messages == 0:
        return EMPTY
    reason = EMPTY
    middle = (reader.start_ns + reader.end_ns) // 2
    for recorded in itertools.chain(
        itertools.islice(reader.messages(only(topic.name)), SAMPLES),
        itertools.islice(reader.messages(only(topic.name), middle), SAMPLES),
    ):
        try:
            message = camera_message(recorded)
        except FrameError as error:
            reason = Doubt(error)
            continue
        try:
            to_rgb(message, settings.maximum_pixels, ToneMapper(settings.mono16))
        except FrameError as error:
            kind = _kind(message)
            if 'compressedDepth' in kind or MEASUREMENT.match(kind):
                return f'{kind} is depth or another measurement, no picture'
            foreign = isinstance(error, UnknownFormatError) and not PICTURES.search(kind)
            reason = str(error) if foreign else Doubt(error)
        else:
            return ''
    if topic.messages and reason == EMPTY:
        return Doubt(f'none of its {topic.messages} messages can be read')
    return reason


def _kind(message: Any) -> str:
    """Return the encoding or format of an image message."""
    return str(message.encoding if message.__msgtype__ == IMAGE else message.format)


def _nothing(topics: Sequence[TopicCount], reasons: dict[str, str]) -> str:
    """Say why there is no camera, and what would make one of what is there."""
    foreign = sorted({t.serialization for t in topics if t.serialization != 'cdr'})
    if foreign and not reasons:
        kinds = sorted({t.type for t in topics if t.serialization == foreign[0]})
        return (
            f'its messages are {foreign[0]} ({", ".join(kinds[:5])}), not those of ROS 2 (cdr): '
            f'{CONVERSIONS.get(foreign[0], OTHER_CONVERSION)}'
        )
    listed = '; '.join(f'{name}: {reason}' for name, reason in reasons.items()) or 'none'
    others = [f'{t.name} ({t.type})' for t in topics if PICTURE_TYPES.search(t.type)]
    others = [other for other in others if other.partition(' ')[0] not in reasons]
    hint = (
        f'; of types that are not read: {", ".join(others)}: `ros2 run image_transport republish` '
        'makes sensor_msgs/Image of them'
        if others
        else ''
    )
    return f'the recording has no camera topic (image topics: {listed}{hint})'


def only(name: str) -> Callable[[Topic], bool]:
    """Want one topic."""
    return lambda topic: topic.name == name
