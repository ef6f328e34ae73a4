"""Write one MCAP file that stays readable whatever happens.

The library `mcap` writes chunks, indexes and summary. Room for a chunk and for the end of the file
is set aside before the library hears of the chunk, so that a full disk still leaves a closed file.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from mcap.writer import CompressionType, Writer

from semantic_fast_sam_ros.bags.mcap_reader import McapReader
from semantic_fast_sam_ros.bags.storage_writer import StorageWriter
from semantic_fast_sam_ros.bags.types import Message, Topic

AHEAD_BYTES = 1 << 20  # allocated at a time
SPARE_BYTES = 1 << 18  # for metadata and the sidecars, once the file is closed
MESSAGE_BYTES, TOPIC_BYTES, CHUNK_BYTES = 48, 1024, 256  # beside data and definitions
COMPRESSIONS = {
    'zstd': CompressionType.ZSTD,
    'lz4': CompressionType.LZ4,
    '': CompressionType.NONE,
}


class McapWriter(StorageWriter):
    """One file. Not for two threads at once."""

    def __init__(self, path: Path, compression: str = 'zstd') -> None:
        """Create a file, or open one to go on with it by `recover`."""
        super().__init__()
        self._path = path
        self._channels: dict[Topic, int] = {}
        self._schemas: dict[tuple[str, str, str], int] = {}  # type, encoding, definition
        self._index_bytes = 0  # of the chunks, at the end of the file
        self._file = _File(path)
        # Chunks end where a frame does, not where the library would end them.
        output = cast(Any, self._file)
        self._library: Any = Writer(output, 1 << 62, COMPRESSIONS[compression])
        self._library.start('ros2', 'semantic_fast_sam_ros')

    def write(self, message: Message, sequence: int) -> None:
        """Add a message; MCAP knows no time before 1970."""
        super().write(message._replace(time_ns=max(0, message.time_ns)), sequence)

    def recover(self, replay: Callable[[Message], None]) -> None:
        """Keep the whole chunks of an existing file, give out their messages, drop the rest.

        The library hears of the messages again, and the file has what it writes of them already.
        """
        reader = McapReader(self._path)
        known = len(reader.losses)
        for block in sorted(reader.blocks, key=lambda b: b.offset):
            messages = list(reader.block_messages(block, set(reader.topics)))
            if len(reader.losses) > known or block.offset != self._file.tell():
                break  # a chunk before this one, or this one, is damaged
            self._store(messages)
            self._count(messages)
            for message in messages:
                replay(message._replace(sequence=0))
        reader.close()
        self._file.truncate()

    def _store(self, messages: list[Message]) -> None:
        size = sum(len(message.data) + MESSAGE_BYTES for message in messages)
        topics = {message.topic for message in messages} | set(self._channels)
        index = CHUNK_BYTES + 16 * len(topics)
        texts = sum(4 * len(t.definition) + len(t.qos) + TOPIC_BYTES for t in topics)
        # What cannot be compressed grows a little. Definitions stand in a chunk and at the end.
        self._index_bytes += index
        packed = size + size // 64 + index + texts
        self._file.reserve(packed + self._index_bytes + texts + SPARE_BYTES)
        for message in messages:
            self._library.add_message(
                self._channel(message.topic),
                message.time_ns,
                message.data,
                message.time_ns,
                message.sequence & 0xFFFFFFFF,
            )
        self._library.flush()

    def _channel(self, topic: Topic) -> int:
        """Return the number of a topic, made known to the library when it is new."""
        if topic not in self._channels:
            kind = (topic.type, topic.definition_encoding, topic.definition)
            if kind not in self._schemas:
                data = topic.definition.encode(errors='surrogateescape')  # protobuf's is no text
                self._schemas[kind] = self._library.register_schema(*kind[:2], data)
            extra = {'offered_qos_profiles': topic.qos, 'topic_type_hash': topic.type_hash}
            self._channels[topic] = self._library.register_channel(
                topic.name, topic.serialization, self._schemas[kind], extra
            )
        return self._channels[topic]

    def _finish(self, metadata: str) -> None:
        # Room for the index and the end is set aside.
        if metadata:
            self._library.add_metadata('rosbag2', {'serialized_metadata': metadata})
        self._library.finish()
        self._file.close()


class _File:
    """What the library writes to: room is set aside, and what is there already is left alone."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._at = 0
        self._allocated = os.fstat(self._file).st_size
        self._repeats = True  # so far the file begins with what was written

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""

    def write(self, data: bytes) -> None:
        if self._repeats:
            self._repeats = os.pread(self._file, len(data), self._at) == data
        done = len(data) if self._repeats else 0
        while done < len(data):
            done += os.pwrite(self._file, memoryview(data)[done:], self._at + done)
        self._at += len(data)

    def reserve(self, size: int) -> None:
        """Make sure that so many bytes more have room on the disk; raises OSError."""
        needed = self._at + size
        if needed <= self._allocated:
            return
        for end in (needed + AHEAD_BYTES, needed):
            try:
                os.posix_fallocate(self._file, self._allocated, end - self._allocated)
            except OSError:
                if end == needed:
                    raise
            else:
                self._allocated = end
                return

    def truncate(self) -> None:
        """End the file here."""
        os.ftruncate(self._file, self._at)
        self._allocated, self._repeats = self._at, False

    def close(self) -> None:
        self.truncate()
        os.close(self._file)
