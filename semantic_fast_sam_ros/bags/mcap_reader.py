"""Read one MCAP file, whole or damaged, in the order of time and in bounded memory.

With an intact summary, a damaged chunk costs only its own messages. Without one (the recorder was
killed, the file was cut off) the index is made anew from what is there.
"""

import heapq
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from semantic_fast_sam_ros.bags import mcap_format as mcap
from semantic_fast_sam_ros.bags.mcap_format import Chunk, Damage, Fields
from semantic_fast_sam_ros.bags.types import MAXIMUM_NS, Loss, Message, Topic

PLAIN_RUN_BYTES = 1 << 22  # records without a chunk are read in runs of about so much
Wanted = Callable[[Topic], bool]


class McapReader:
    """One file. `losses` grows while it is opened and read."""

    def __init__(self, path: Path) -> None:
        """Open a file and find its topics and chunks."""
        self.losses: list[Loss] = []
        self.topics: dict[int, Topic] = {}
        self.counts: dict[int, int] = {}  # messages by channel
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._chunks: list[Chunk] = []
        self._index_bytes: dict[int, int] = {}  # chunk offset -> size of its message indexes
        self._name = path.name
        self._file = path.open('rb')
        self._size = os.fstat(self._file.fileno()).st_size
        if not self._read_summary():
            self.topics, self.counts, self._schemas, self._chunks = {}, {}, {}, []
            self._scan()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def first_ns(self) -> int | None:
        """When the first message was recorded; None without messages."""
        return min((c.first_ns for c in self._chunks), default=None)

    @property
    def last_ns(self) -> int | None:
        """When the last message was recorded; None without messages."""
        return max((c.last_ns for c in self._chunks), default=None)

    def messages(self, wanted: Wanted, start_ns: int, stop_ns: int) -> Iterator[Message]:
        """Give the messages of the wanted topics with start <= time < stop, in order of time."""
        channels = {i for i, topic in self.topics.items() if wanted(topic)}
        waiting: list[tuple[int, int, int, Message]] = []
        for chunk in sorted(self._chunks, key=lambda c: (c.first_ns, c.offset)):
            if chunk.last_ns < start_ns or chunk.first_ns >= stop_ns:
                continue
            if chunk.indexes and channels.isdisjoint(chunk.indexes):
                continue
            # Chunks may overlap: what is later than this one's beginning waits for its messages.
            while waiting and waiting[0][0] < chunk.first_ns:
                yield heapq.heappop(waiting)[3]
            for order, message in self._chunk_messages(chunk, channels):
                if start_ns <= message.time_ns < stop_ns:
                    entry = (message.time_ns, chunk.offset, order, message)
                    heapq.heappush(waiting, entry)
        while waiting:
            yield heapq.heappop(waiting)[3]

    def _chunk_messages(self, chunk: Chunk, channels: set[int]) -> Iterator[tuple[int, Message]]:
        given = 0
        try:
            for opcode, body, offset in mcap.records(self._chunk_data(chunk)):
                if opcode == mcap.MESSAGE:
                    fields = Fields(body)
                    channel, sequence, time_ns, _ = fields.unpack('HIQQ')
                    given += 1
                    if channel in channels:
                        data = bytes(fields.take(fields.left))
                        yield offset, Message(self.topics[channel], time_ns, data, sequence)
        except Damage as damage:
            counts = chunk.message_counts(self._index_bytes.get(chunk.offset, 0))
            lost = max(0, sum(counts.values()) - given) if counts else None
            self._lose(f'at byte {chunk.offset}: {damage}', lost)

    def _chunk_data(self, chunk: Chunk) -> bytes:
        body = self._read(chunk.offset, chunk.length)
        if chunk.plain:
            return body
        opcode, size = mcap.RECORD_HEAD.unpack_from(body)
        if opcode != mcap.CHUNK or size + mcap.RECORD_HEAD.size != chunk.length:
            raise Damage('there is no chunk where the index says')
        return mcap.unpack_chunk(memoryview(body)[mcap.RECORD_HEAD.size :])

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise Damage(f'{size} bytes end after the file does')
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise Damage(f'only {len(data)} of {size} bytes can be read')
        return data

    def _lose(self, reason: str, messages: int | None = None) -> None:
        self.losses.append(Loss(self._name, reason, messages))

    # The index that the recorder wrote

    def _read_summary(self) -> bool:
        """Take topics and chunks from the summary; False if there is none that can be used."""
        try:
            footer_at = self._size - mcap.FOOTER_BYTES
            footer = self._read(footer_at, mcap.FOOTER_BYTES) if footer_at > 0 else b''
            if not footer.endswith(mcap.MAGIC) or footer[0] != mcap.FOOTER:
                return False
            start = Fields(footer[mcap.RECORD_HEAD.size :]).unpack('QQI')[0]
            if not 0 < start <= footer_at:
                return False
            for opcode, body, _ in mcap.records(self._read(start, footer_at - start)):
                self._summary_record(opcode, Fields(body))
        except Damage:
            return False
        # Without chunks there is no index of messages: they have to be looked for.
        return bool(self._chunks) and bool(self.topics)

    def _summary_record(self, opcode: int, fields: Fields) -> None:
        if opcode == mcap.CHUNK_INDEX:
            first, last, offset, length = fields.unpack('QQQQ')
            pairs = Fields(fields.bytes())
            indexes = {}
            while pairs.left:
                channel, at = pairs.unpack('HQ')
                indexes[channel] = at
            chunk = Chunk(first, last, offset, length, indexes)
            if indexes or last:  # some recorders index chunks without messages
                self._chunks.append(chunk)
            self._index_bytes[offset] = fields.unpack('Q')[0]
        elif opcode == mcap.STATISTICS:
            fields.unpack('QHIIIIQQ')
            pairs = Fields(fields.bytes())
            while pairs.left:
                channel, count = pairs.unpack('HQ')
                self.counts[channel] = count
        else:
            self._definition(opcode, fields)

    def _definition(self, opcode: int, fields: Fields) -> None:
        if opcode == mcap.SCHEMA:
            (key,) = fields.unpack('H')
            self._schemas[key] = (fields.text(), fields.text(), fields.text())
        elif opcode == mcap.CHANNEL:
            key, schema = fields.unpack('HH')
            kind, encoding, definition = self._schemas.get(schema, ('', '', ''))
            topic, _, metadata = fields.text(), fields.text(), fields.string_map()
            self.topics[key] = Topic(
                topic,
                kind,
                definition,
                encoding or 'ros2msg',
                metadata.get('topic_type_hash', ''),
                metadata.get('offered_qos_profiles', ''),
            )

    # No index: walk through the file

    def _scan(self) -> None:
        """Find topics and chunks by reading everything up to the end or the first damage."""
        if self._size < len(mcap.MAGIC) or self._read(0, len(mcap.MAGIC)) != mcap.MAGIC:
            self._lose('not an MCAP file: it does not begin as one')
            return
        at = len(mcap.MAGIC)
        try:
            while at < self._size:
                opcode, size = mcap.RECORD_HEAD.unpack(self._read(at, mcap.RECORD_HEAD.size))
                length = mcap.RECORD_HEAD.size + size
                if opcode in (mcap.DATA_END, mcap.FOOTER):
                    return
                if opcode == 0 or at + length > self._size:
                    break
                self._scan_record(opcode, at, length)
                at += length
        except Damage:
            pass
        self._lose(f'cut off at byte {at} of {self._size}: the recording has no end')

    def _scan_record(self, opcode: int, at: int, length: int) -> None:
        if opcode == mcap.MESSAGE:
            head = Fields(self._read(at + mcap.RECORD_HEAD.size, mcap.MESSAGE_HEAD.size))
            channel, _, time_ns, _ = head.unpack('HIQQ')
            self._add_plain(Chunk(time_ns, time_ns, at, length, plain=True))
            self.counts[channel] = self.counts.get(channel, 0) + 1
        elif opcode == mcap.CHUNK:
            chunk = Chunk(0, MAXIMUM_NS, at, length)
            try:
                self._scan_chunk(self._chunk_data(chunk), chunk)
            except Damage as damage:
                self._lose(f'at byte {at}: {damage}')
        elif opcode in (mcap.SCHEMA, mcap.CHANNEL):
            head_bytes = mcap.RECORD_HEAD.size
            body = self._read(at + head_bytes, length - head_bytes)
            self._definition(opcode, Fields(body))

    def _scan_chunk(self, data: bytes, chunk: Chunk) -> None:
        times = []
        for opcode, body, _ in mcap.records(data):
            if opcode == mcap.MESSAGE:
                channel, _, time_ns, _ = Fields(body).unpack('HIQQ')
                times.append(time_ns)
                self.counts[channel] = self.counts.get(channel, 0) + 1
            else:
                self._definition(opcode, Fields(body))
        if times:
            self._chunks.append(Chunk(min(times), max(times), chunk.offset, chunk.length))

    def _add_plain(self, run: Chunk) -> None:
        """Join a message without a chunk to the run before it, if it follows directly."""
        last = self._chunks[-1] if self._chunks else None
        if (
            last is not None
            and last.plain
            and last.offset + last.length == run.offset
            and last.length < PLAIN_RUN_BYTES
        ):
            first, end = min(last.first_ns, run.first_ns), max(last.last_ns, run.last_ns)
            length = last.length + run.length
            self._chunks[-1] = Chunk(first, end, last.offset, length, plain=True)
        else:
            self._chunks.append(run)
