"""What is to be labelled of a recording, and what comes out under which names."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from semantic_fast_sam_ros.bags.messages import OUTPUT_TYPES, qos_text, topic_of
from semantic_fast_sam_ros.bags.types import MAXIMUM_NS, MINIMUM_NS, Topic
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.outputs.frame_outputs import (
    DETECTIONS_3D,
    FEATURES,
    FEATURES_SPACE,
    MARKERS,
)
from semantic_fast_sam_ros.core.settings.node import OutputSettings

NODE = '/semantic_fast_sam'
LABEL_INFO = 'label_info'
LATCHED = (LABEL_INFO, FEATURES_SPACE)
CHOICES = tuple(name for name in OUTPUT_TYPES if name not in (LABEL_INFO, FEATURES_SPACE))
OF_DEPTH = (DETECTIONS_3D, MARKERS)  # made of labels and depth
# Made of labels alone, with every labeller.
OF_LABELS = tuple(name for name in CHOICES if name not in (FEATURES, *OF_DEPTH))
# What other outputs hold already: the JPEG shows what the raw overlay does, and the label image
# has what its compressed and coloured forms have.
ON_REQUEST = ('overlay', 'packed_instances', 'label_image/compressed', 'label_colour')
DEFAULT_OUTPUTS = tuple(name for name in OF_LABELS if name not in ON_REQUEST)


@dataclass(frozen=True)
class Job:
    """What the command line asks for, apart from the settings of the pipeline."""

    outputs: tuple[str, ...] = DEFAULT_OUTPUTS
    topics: tuple[str, ...] = ()  # image topics, or patterns of them; empty: all cameras
    depth: tuple[str, ...] = ()  # of each camera, for outputs of OF_DEPTH
    every: int = 1  # only each so-many-th image of a topic
    start_s: float = 0.0  # from the beginning of the recording
    duration_s: float | None = None
    copy: tuple[str, ...] = ()  # patterns of other topics to copy; '*': all
    node: str = NODE
    storage: str = 'mcap'
    compression: str = 'zstd'

    def __post_init__(self) -> None:
        for name in self.outputs:
            if name not in CHOICES:
                raise ConfigError(f'unknown output {name!r} (known: {", ".join(CHOICES)})')
        asked = [name for name in self.outputs if name in OF_DEPTH]
        if asked and not self.depth:
            raise ConfigError(
                f'output {asked[0]} takes depth: name the topic of depth images or clouds that '
                'are registered to the camera, by --depth TOPIC'
            )
        if self.depth and not asked:
            raise ConfigError(
                f'--depth is for the outputs {" and ".join(OF_DEPTH)}, of which --outputs has none'
            )
        if self.every < 1:
            raise ConfigError(f'--every must be at least 1, not {self.every}')
        if self.start_s < 0 or (self.duration_s is not None and self.duration_s <= 0):
            raise ConfigError('--start must not be negative, and --duration must be positive')

    def window_ns(self, start_ns: int) -> tuple[int, int]:
        """Return first and end time of what is labelled of a recording that begins at start_ns."""
        first = start_ns + round(self.start_s * 1e9) if self.start_s else MINIMUM_NS
        if self.duration_s is None:
            return first, MAXIMUM_NS
        return first, start_ns + round((self.start_s + self.duration_s) * 1e9)

    def copies(self, topic: str) -> bool:
        """Say whether a topic is copied."""
        return any(matches(topic, pattern) for pattern in self.copy)


def matches(topic: str, pattern: str) -> bool:
    """Say whether a topic has a name, or fits a pattern, with or without the first slash."""
    return any(fnmatch.fnmatchcase(topic, form) for form in (pattern, f'/{pattern}'))


def output_topics(cameras: Sequence[str], job: Job, settings: OutputSettings) -> 'OutputTopics':
    """Return the topics that each camera's outputs go to.

    One camera's are named as the live node's; of several, each in the namespace of its images.
    """
    prefixes = {
        name: job.node if len(cameras) == 1 else name.removesuffix('/compressed') + job.node
        for name in cameras
    }
    qos = qos_text(settings.reliability, 'volatile', settings.depth)
    latched = qos_text('reliable', 'transient_local', 1)
    return {
        camera: {
            name: topic_of(f'{prefix}/{name}', kind, latched if name in LATCHED else qos)
            for name, kind in OUTPUT_TYPES.items()
        }
        for camera, prefix in prefixes.items()
    }


OutputTopics = dict[str, dict[str, Topic]]  # camera -> output -> topic
