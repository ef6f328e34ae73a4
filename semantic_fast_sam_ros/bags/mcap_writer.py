"""Write one MCAP file that stays readable whatever happens.

Chunks end where a frame ends and are written whole or not at all; room for the index is set aside
before each, so that a full disk still leaves a closed file; an unclosed file is gone on with.
"""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from semantic_fast_sam_ros.bags import mcap_format as mcap
from semantic_fast_sam_ros.bags.mcap_format import Chunk, Damage, Fields
from semantic_fast_sam_ros.bags.types import MAXIMUM_NS, Message, Topic

CHUNK_BYTES = 1 << 20  # of messages, before compression
AHEAD_BYTES = 8 << 20  # allocated at a time
SPARE_BYTES = 1 << 18  # for metadata and the sidecars, once the file is closed
INDEX_BYTES_A_CHUNK = 200
LIBRARY = 'semantic_fast_sam_ros'


class McapWriter:
    """One file. Not for two threads at once."""

    def __init__(self, path: Path, compression: str = 'zstd') -> None:
        """Create a file, or go on with an unclosed or closed one after its last whole chunk."""
        self.compression = compression
        self.cursor = 0  # the largest sequence number that is safely in the file
        self._channels: dict[Topic, int] = {}
        self._schemas: dict[tuple[str, str, str], int] = {}  # type, encoding, definition
        self._schema_records: list[bytes] = []
        self._channel_records: list[bytes] = []
        self._chunks: list[bytes] = []  # chunk index records
        self._counts: dict[int, int] = {}
        self._first_ns, self._last_ns = MAXIMUM_NS, 0
        self._pending = bytearray()
        self._pending_index: dict[int, list[tuple[int, int]]] = {}
        self._pending_cursor = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._end = self._allocated = 0
        if os.fstat(self._file).st_size == 0:
            header = mcap.record(mcap.HEADER, mcap.text('ros2') + mcap.text(LIBRARY))
            self._append(mcap.MAGIC + header)

    @property
    def message_count(self) -> int:
        """How many messages are in the file or about to be."""
        return sum(self._counts.values())

    @property
    def extent_ns(self) -> tuple[int, int]:
        """First and last time of the messages; zeros without any."""
        return (self._first_ns, self._last_ns) if self.message_count else (0, 0)

    @property
    def topic_counts(self) -> dict[Topic, int]:
        """How many messages each topic has."""
        return {topic: self._counts[key] for topic, key in self._channels.items()}

    def write(self, message: Message, sequence: int) -> None:
        """Add a message to the chunk; `sequence` says from which input message it came."""
        channel = self._channel(message.topic)
        self._pending_index.setdefault(channel, []).append((message.time_ns, len(self._pending)))
        head = mcap.MESSAGE_HEAD.pack(
            channel, sequence & 0xFFFFFFFF, message.time_ns, message.time_ns
        )
        self._pending += mcap.RECORD_HEAD.pack(mcap.MESSAGE, len(head) + len(message.data))
        self._pending += head
        self._pending += message.data
        self._counts[channel] += 1
        self._pending_cursor = sequence

    def end_of_frame(self) -> None:
        """Allow the chunk to end here.

        Raises:
            OSError: the disk is full or broken; the chunk's messages are taken back.
        """
        if len(self._pending) >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the chunk; raises as `end_of_frame` does."""
        if not self._pending:
            return
        data, index, cursor = bytes(self._pending), self._pending_index, self._pending_cursor
        self._pending, self._pending_index = bytearray(), {}
        try:
            self._write_chunk(data, index)
        except OSError:
            for channel, entries in index.items():
                self._counts[channel] -= len(entries)
            raise
        self.cursor = cursor

    def close(self, metadata: str = '') -> None:
        """Write the chunk in work, the metadata of rosbag2, the index and the end."""
        try:
            self.flush()
        finally:
            data = b''
            if metadata:
                pairs = mcap.string_map({'serialized_metadata': metadata})
                data = mcap.record(mcap.METADATA, mcap.text('rosbag2') + pairs)
            tail = data + mcap.record(mcap.DATA_END, struct.pack('<I', 0))
            # Room for this was set aside with the last chunk.
            self._append(tail + self._summary(self._end + len(tail), data), reserve=False)
            os.ftruncate(self._file, self._end)
            os.close(self._file)

    def abandon(self) -> None:
        """Let go of the file without an end, as a killed process would."""
        os.close(self._file)

    # Going on with a file

    def recover(self, replay: Callable[[Message], None]) -> None:
        """Keep the whole chunks of an existing file, give out their messages, drop the rest."""
        size = os.fstat(self._file).st_size
        at = len(mcap.MAGIC)
        while at + mcap.RECORD_HEAD.size <= size:
            opcode, length = mcap.RECORD_HEAD.unpack(self._pread(mcap.RECORD_HEAD.size, at))
            end = at + mcap.RECORD_HEAD.size + length
            if opcode not in (mcap.HEADER, mcap.CHUNK) or end > size:
                break
            if opcode == mcap.CHUNK:
                try:
                    end = self._recover_chunk(at, end - at, replay)
                except Damage:
                    break
            at = end
        self._end = at
        os.ftruncate(self._file, at)
        self._allocated = at

    def _recover_chunk(self, at: int, length: int, replay: Callable[[Message], None]) -> int:
        body = memoryview(self._pread(length, at))[mcap.RECORD_HEAD.size :]
        data = mcap.unpack_chunk(body)
        index: dict[int, list[tuple[int, int]]] = {}
        messages, cursor = [], 0
        topics = {key: topic for topic, key in self._channels.items()}
        schemas = {key: schema for schema, key in self._schemas.items()}
        for opcode, record, offset in mcap.records(data):
            fields = Fields(record)
            if opcode == mcap.MESSAGE:
                channel, cursor, time_ns, _ = fields.unpack('HIQQ')
                index.setdefault(channel, []).append((time_ns, offset))
                messages.append((channel, time_ns, bytes(fields.take(fields.left))))
            elif opcode == mcap.SCHEMA:
                (key,) = fields.unpack('H')
                schemas[key] = (fields.text(), fields.text(), fields.text())
            elif opcode == mcap.CHANNEL:
                key, schema = fields.unpack('HH')
                name, _, extra = fields.text(), fields.text(), fields.string_map()
                kind, encoding, definition = schemas[schema]
                topics[key] = Topic(
                    name,
                    kind,
                    definition,
                    encoding,
                    extra['topic_type_hash'],
                    extra['offered_qos_profiles'],
                )
        indexes = self._index_records(index)
        if self._pread(len(indexes), at + length) != indexes:
            raise Damage('the indexes of a chunk are cut off')
        for key, topic in topics.items():
            if topic not in self._channels:
                self._register(topic, key)
        self._note_chunk(index, at, length, len(body), len(data), indexes)
        for channel, entries in index.items():
            self._counts[channel] += len(entries)
        self.cursor = cursor
        for channel, time_ns, payload in messages:
            replay(Message(topics[channel], time_ns, payload))
        return at + length + len(indexes)

    def _pread(self, size: int, offset: int) -> bytes:
        return os.pread(self._file, size, offset)

    # Records

    def _channel(self, topic: Topic) -> int:
        if topic not in self._channels:
            self._pending += self._register(topic, len(self._channels) + 1)
        return self._channels[topic]

    def _register(self, topic: Topic, key: int) -> bytes:
        """Number a topic, and return its channel record, with a schema record if it is new."""
        schema = (topic.type, topic.definition_encoding, topic.definition)
        records = b''
        if schema not in self._schemas:
            self._schemas[schema] = len(self._schemas) + 1
            body = struct.pack('<H', self._schemas[schema]) + b''.join(map(mcap.text, schema))
            records = mcap.record(mcap.SCHEMA, body)
            self._schema_records.append(records)
        metadata = {'offered_qos_profiles': topic.qos, 'topic_type_hash': topic.type_hash}
        body = struct.pack('<HH', key, self._schemas[schema])
        body += mcap.text(topic.name) + mcap.text('cdr') + mcap.string_map(metadata)
        self._channel_records.append(mcap.record(mcap.CHANNEL, body))
        self._channels[topic] = key
        self._counts[key] = 0
        return records + self._channel_records[-1]

    def _write_chunk(self, data: bytes, index: dict[int, list[tuple[int, int]]]) -> None:
        packed = mcap.compress(data, self.compression)
        times = [time for entries in index.values() for time, _ in entries]
        head = mcap.CHUNK_HEAD.pack(min(times), max(times), len(data), zlib.crc32(data))
        body = head + mcap.text(self.compression)
        body += struct.pack('<Q', len(packed)) + packed
        chunk, indexes = mcap.record(mcap.CHUNK, body), self._index_records(index)
        at = self._end
        self._append(chunk + indexes)
        self._note_chunk(index, at, len(chunk), len(body), len(data), indexes)

    def _index_records(self, index: dict[int, list[tuple[int, int]]]) -> bytes:
        parts = []
        for channel, entries in index.items():
            packed = b''.join(struct.pack('<QQ', *entry) for entry in entries)
            parts.append(
                mcap.record(mcap.MESSAGE_INDEX, struct.pack('<H', channel) + mcap.sized(packed))
            )
        return b''.join(parts)

    def _note_chunk(
        self,
        index: dict[int, list[tuple[int, int]]],
        at: int,
        length: int,
        body_bytes: int,
        data_bytes: int,
        indexes: bytes,
    ) -> None:
        """Make the chunk's record of the summary."""
        times = [time for entries in index.values() for time, _ in entries]
        chunk = Chunk(min(times), max(times), at, length)
        self._first_ns = min(self._first_ns, chunk.first_ns)
        self._last_ns = max(self._last_ns, chunk.last_ns)
        offset, pairs = at + length, b''
        for channel, entries in index.items():
            pairs += struct.pack('<HQ', channel, offset)
            offset += mcap.RECORD_HEAD.size + 6 + 16 * len(entries)
        packed_bytes = body_bytes - mcap.CHUNK_HEAD.size - 12 - len(self.compression)
        body = struct.pack('<QQQQ', chunk.first_ns, chunk.last_ns, at, length)
        body += mcap.sized(pairs) + struct.pack('<Q', len(indexes))
        body += mcap.text(self.compression) + struct.pack('<QQ', packed_bytes, data_bytes)
        self._chunks.append(mcap.record(mcap.CHUNK_INDEX, body))

    def _summary(self, at: int, metadata: bytes) -> bytes:
        """Return the summary section, its offsets, the footer and the end mark."""
        first, last = self.extent_ns
        counts = sorted(self._counts.items())
        statistics = struct.pack(
            '<QHIIIIQQ',
            self.message_count,
            len(self._schemas),
            len(counts),
            0,
            1 if metadata else 0,
            len(self._chunks),
            first,
            last,
        ) + mcap.sized(b''.join(struct.pack('<HQ', *pair) for pair in counts))
        metadata_index = b''
        if metadata:
            tail_bytes = len(metadata) + mcap.RECORD_HEAD.size + 4
            place = struct.pack('<QQ', at - tail_bytes, len(metadata))
            metadata_index = mcap.record(mcap.METADATA_INDEX, place + mcap.text('rosbag2'))
        groups = (
            (mcap.SCHEMA, b''.join(self._schema_records)),
            (mcap.CHANNEL, b''.join(self._channel_records)),
            (mcap.STATISTICS, mcap.record(mcap.STATISTICS, statistics)),
            (mcap.CHUNK_INDEX, b''.join(self._chunks)),
            (mcap.METADATA_INDEX, metadata_index),
        )
        summary = b''.join(data for _, data in groups)
        offsets, start = b'', at
        for opcode, data in groups:
            if data:
                place = struct.pack('<BQQ', opcode, start, len(data))
                offsets += mcap.record(mcap.SUMMARY_OFFSET, place)
            start += len(data)
        footer = mcap.RECORD_HEAD.pack(mcap.FOOTER, 20) + struct.pack('<QQ', at, start)
        checksum = zlib.crc32(summary + offsets + footer)
        return summary + offsets + footer + struct.pack('<I', checksum) + mcap.MAGIC

    # The disk

    def _append(self, data: bytes, reserve: bool = True) -> None:
        """Write data at the end, wholly or not at all, with room for the index behind it."""
        self._allocate(self._end + len(data) + (self._reserve_bytes() if reserve else 0))
        done = 0
        while done < len(data):
            done += os.pwrite(self._file, memoryview(data)[done:], self._end + done)
        self._end += len(data)

    def _reserve_bytes(self) -> int:
        definitions = sum(map(len, (*self._schema_records, *self._channel_records)))
        return SPARE_BYTES + definitions + INDEX_BYTES_A_CHUNK * (len(self._chunks) + 1)

    def _allocate(self, needed: int) -> None:
        """Make sure that so many bytes of the file have room on the disk."""
        if needed <= self._allocated:
            return
        for size in (needed + AHEAD_BYTES, needed):
            try:
                os.posix_fallocate(self._file, self._allocated, size - self._allocated)
            except OSError:
                if size == needed:
                    raise
            else:
                self._allocated = size
                return
