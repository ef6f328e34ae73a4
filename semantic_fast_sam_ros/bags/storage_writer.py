"""What both storages of a recording have in common when they are written."""

import abc
from collections.abc import Callable

from semantic_fast_sam_ros.bags.types import MAXIMUM_NS, Message, Topic

BATCH_BYTES = 1 << 20  # of messages that are stored at once


class StorageWriter(abc.ABC):
    """One file. Messages count once they are stored: whole frames, all of them or none."""

    def __init__(self) -> None:
        """Begin with an empty file."""
        self.cursor = 0  # number of the last input message whose output is stored
        self.topic_counts: dict[Topic, int] = {}
        self._extent = (MAXIMUM_NS, 0)
        self._pending: list[Message] = []
        self._pending_bytes = 0

    @property
    def message_count(self) -> int:
        """How many messages are stored."""
        return sum(self.topic_counts.values())

    @property
    def extent_ns(self) -> tuple[int, int]:
        """First and last time of the messages; zeros without any."""
        return self._extent if self.topic_counts else (0, 0)

    def write(self, message: Message, sequence: int) -> None:
        """Add a message; `sequence` says from which input message it came."""
        self._pending.append(message._replace(sequence=sequence))
        self._pending_bytes += len(message.data)

    def end_of_frame(self) -> None:
        """Allow what is pending to be stored; raises OSError as `flush` does."""
        if self._pending_bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Store what is pending.

        Raises:
            OSError: the disk is full or broken; what was pending is dropped.
        """
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if pending:
            self._store(pending)
            self._count(pending)

    @abc.abstractmethod
    def recover(self, replay: Callable[[Message], None]) -> None:
        """Go on with what an existing file holds, giving out its messages."""

    def close(self, metadata: str = '') -> None:
        """Store what is pending, add the metadata of rosbag2 and close the file."""
        try:
            self.flush()
        finally:
            self._finish(metadata)

    @abc.abstractmethod
    def _store(self, messages: list[Message]) -> None:
        """Store messages, all of them or none; raises OSError."""

    @abc.abstractmethod
    def _finish(self, metadata: str) -> None:
        """Add the metadata of rosbag2 and close the file."""

    def _count(self, messages: list[Message]) -> None:
        for message in messages:
            count = self.topic_counts.get(message.topic, 0)
            self.topic_counts[message.topic] = count + 1
        times = [message.time_ns for message in messages]
        self._extent = (min(self._extent[0], *times), max(self._extent[1], *times))
        self.cursor = messages[-1].sequence
