"""What readers and writers of bags hand to each other."""

from dataclasses import dataclass
from typing import NamedTuple

MINIMUM_NS, MAXIMUM_NS = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Topic:
    """A topic of a bag, with everything that another bag needs to carry it on."""

    name: str
    type: str  # such as sensor_msgs/msg/Image
    definition: str = ''  # with the definitions of nested types; empty where the bag has none
    definition_encoding: str = 'ros2msg'
    type_hash: str = ''
    qos: str = ''  # YAML, as rosbag2 stores it
    serialization: str = 'cdr'  # of the messages; others are copied only


class Message(NamedTuple):
    """One recorded message."""

    topic: Topic
    time_ns: int  # when it was recorded
    data: bytes  # as the topic's serialization says
    sequence: int = 0  # as the recorder counted; 0 where it did not


@dataclass(frozen=True)
class Loss:
    """Something of a bag that could not be read."""

    file: str
    reason: str
    messages: int | None = None  # how many, of all topics; None: unknown

    def __str__(self) -> str:
        count = '' if self.messages is None else f' ({self.messages} messages)'
        return f'{self.file}: {self.reason}{count}'
