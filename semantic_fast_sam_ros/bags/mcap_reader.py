"""Read one MCAP file, whole or damaged, in the order of time and in bounded memory.

The library `mcap` takes the records apart and checks their checksums. With an intact summary, a
damaged chunk costs only its own messages; without one (the recorder was killed, the file was cut
off) the file is indexed anew as far as it goes.
"""

import contextlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile, InvalidMagic
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, DataEnd, McapRecord, MessageIndex, Schema
from mcap.records import Message as Record
from mcap.stream_reader import StreamReader, get_chunk_data_stream
from mcap.summary import Summary

from semantic_fast_sam_ros.bags.types import Loss, Message, Topic

PLAIN_BYTES = 1 << 22  # records without a chunk are read in runs of about so much
EMPTY_INDEX_BYTES, INDEX_ENTRY_BYTES = 15, 16
COMPRESSIONS = ('', 'lz4', 'zstd')
Wanted = Callable[[Topic], bool]


@dataclass(frozen=True)
class Block:
    """A chunk, or a run of records without a chunk round it."""

    offset: int
    length: int
    first_ns: int = 0
    last_ns: int = 0
    channels: frozenset[int] = frozenset()  # empty: unknown
    messages: int | None = None  # how many; None: unknown
    index_length: int = 0  # of the message indexes behind a chunk


class McapReader:
    """One file. `losses` grows while it is opened and read."""

    def __init__(self, path: Path) -> None:
        """Open a file and find its topics and chunks."""
        self.losses: list[Loss] = []
        self.topics: dict[int, Topic] = {}
        self.counts = Counter[int]()  # messages by channel
        self.blocks: list[Block] = []
        self._schemas: dict[int, Schema] = {}
        self.name = path.name
        self._size = path.stat().st_size
        self._file = path.open('rb')
        try:
            summary = SeekingReader(self._file, record_size_limit=self._size).get_summary()
        except Exception:  # whatever the damage leads to
            summary = None
        # Without chunks there is no index of messages: they have to be looked for.
        if summary is not None and summary.channels and summary.chunk_indexes:
            self._take(summary)
        else:
            self._scan()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def extent_ns(self) -> tuple[int, int] | None:
        """First and last time of the messages; None without any."""
        if not self.blocks:
            return None
        return min(b.first_ns for b in self.blocks), max(b.last_ns for b in self.blocks)

    def messages(self, wanted: Wanted, start_ns: int, stop_ns: int) -> Iterator[Message]:
        """Give the messages of the wanted topics with start <= time < stop, in order of time."""
        channels = {i for i, topic in self.topics.items() if wanted(topic)}
        waiting: list[tuple[int, int, int, Message]] = []
        for block in sorted(self.blocks, key=lambda b: (b.first_ns, b.offset)):
            if block.last_ns < start_ns or block.first_ns >= stop_ns:
                continue
            if block.channels and channels.isdisjoint(block.channels):
                continue
            # Chunks may overlap: what is later than this one's beginning waits for its messages.
            while waiting and waiting[0][0] < block.first_ns:
                yield heapq.heappop(waiting)[3]
            for order, message in enumerate(self.block_messages(block, channels)):
                if start_ns <= message.time_ns < stop_ns:
                    heapq.heappush(waiting, (message.time_ns, block.offset, order, message))
        while waiting:
            yield heapq.heappop(waiting)[3]

    def times(self, wanted: Wanted) -> Iterator[int]:
        """Give the times of the messages on the wanted topics, in any order."""
        channels = {i for i, topic in self.topics.items() if wanted(topic)}
        for block in self.blocks:
            index = Block(block.offset + block.length, block.index_length)
            with contextlib.suppress(Exception):  # damage is told when the messages are read
                for record in self._records(index if index.length else block):
                    if isinstance(record, MessageIndex) and record.channel_id in channels:
                        yield from (time_ns for time_ns, _ in record.records)
                    elif isinstance(record, Record) and record.channel_id in channels:
                        yield record.log_time

    def block_messages(self, block: Block, channels: set[int]) -> Iterator[Message]:
        """Give a block's messages on some channels as they are stored."""
        given, reason = 0, ''
        try:
            for record in self._records(block):
                if isinstance(record, Record):
                    given += 1
                    if record.channel_id in channels:
                        topic = self.topics[record.channel_id]
                        yield Message(topic, record.log_time, record.data, record.sequence)
        except Exception as error:  # each library has its own kinds
            reason = str(error) or type(error).__name__
        lost = None if block.messages is None else max(0, block.messages - given)
        if reason or lost:
            self._lose(f'at byte {block.offset}: {reason or "not what the index says"}', lost)

    def _records(self, block: Block) -> Iterator[McapRecord]:
        """Give the records of a block; damage raises what the libraries raise."""
        self._file.seek(block.offset)
        data = self._file.read(min(block.length, self._size))
        if len(data) != block.length:
            raise ValueError('the file ends before the chunk does')
        for record in _stored(ReadDataStream(BytesIO(data)), len(data)):
            if isinstance(record, Chunk):
                if record.compression not in COMPRESSIONS:  # the library takes it for none
                    raise ValueError(
                        f'its compression {record.compression!r} is not known (lz4 and zstd are)'
                    )
                chunk, size = get_chunk_data_stream(record, validate_crc=True)
                yield from _stored(chunk, size)
            else:
                yield record

    def _lose(self, reason: str, messages: int | None = None) -> None:
        self.losses.append(Loss(self.name, reason, messages))

    def _take(self, summary: Summary) -> None:
        """Take topics, counts and chunks from the index that the recorder wrote."""
        for record in (*summary.schemas.values(), *summary.channels.values()):
            self._define(record)
        if summary.statistics is not None:
            self.counts.update(summary.statistics.channel_message_counts)
        for index in summary.chunk_indexes:
            channels = frozenset(index.message_index_offsets)
            size = index.message_index_length - EMPTY_INDEX_BYTES * len(channels)
            if channels or index.message_end_time:  # some recorders index chunks without messages
                block = Block(
                    index.chunk_start_offset,
                    index.chunk_length,
                    index.message_start_time,
                    index.message_end_time,
                    channels,
                    size // INDEX_ENTRY_BYTES if channels else None,
                    index.message_index_length if channels else 0,
                )
                self.blocks.append(block)

    def _define(self, record: McapRecord) -> None:
        if isinstance(record, Schema):
            self._schemas[record.id] = record
        elif isinstance(record, Channel):
            self.topics[record.id] = _topic(record, self._schemas.get(record.schema_id))

    def _scan(self) -> None:
        """Find topics and messages by reading everything up to the end or the first damage."""
        self._file.seek(0)
        start = at = 0
        reader = StreamReader(self._file, emit_chunks=True, record_size_limit=self._size)
        try:
            for record in reader.records:
                start, at = start or at, self._file.tell()
                if isinstance(record, DataEnd):
                    break
                if isinstance(record, Chunk) or at - start >= PLAIN_BYTES:
                    self._index(Block(start, at - start))
                    self._file.seek(at)
                if isinstance(record, (Chunk, MessageIndex)) or at - start >= PLAIN_BYTES:
                    start = at
        except Exception as error:  # each library has its own kinds
            if isinstance(error, InvalidMagic) or not at:
                self._lose('not an MCAP file: it does not begin as one')
                return
            self._lose(f'cut off at byte {at} of {self._size}: the recording has no end')
        if start:  # behind the header
            self._index(Block(start, at - start))

    def _index(self, block: Block) -> None:
        """Add a block that was found without an index."""
        counts, times = Counter[int](), list[int]()
        reason = ''
        try:
            for record in self._records(block):
                self._define(record)
                if isinstance(record, Record):
                    times.append(record.log_time)
                    counts[record.channel_id] += 1
        except Exception as error:  # each library has its own kinds
            reason = str(error) or type(error).__name__
        if times:
            extent = min(times), max(times)
            found = Block(block.offset, block.length, *extent, frozenset(counts), len(times))
            self.blocks.append(found)
            self.counts += counts
        elif reason:
            self._lose(f'at byte {block.offset}: {reason}')


def _stored(stream: ReadDataStream, size: int) -> Iterator[McapRecord]:
    """Give the records of a stream of some bytes, to its end."""
    with contextlib.suppress(EndOfFile):
        source: Any = stream  # it takes whatever can be read
        yield from StreamReader(source, True, emit_chunks=True, record_size_limit=size).records


def _topic(channel: Channel, schema: Schema | None) -> Topic:
    return Topic(
        channel.topic,
        schema.name if schema else '',
        schema.data.decode(errors='surrogateescape') if schema else '',
        (schema.encoding if schema else '') or 'ros2msg',
        channel.metadata.get('topic_type_hash', ''),
        channel.metadata.get('offered_qos_profiles', ''),
        channel.message_encoding,
    )
