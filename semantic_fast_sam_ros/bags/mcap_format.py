"""The records of an MCAP file (https://mcap.dev/spec): packing and unpacking."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAGIC = b'\x89MCAP0\r\n'
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
RECORD_HEAD = struct.Struct('<BQ')
MESSAGE_HEAD = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time
CHUNK_HEAD = struct.Struct('<QQQI')  # first time, last time, uncompressed size, CRC-32
FOOTER_BYTES = RECORD_HEAD.size + 20 + len(MAGIC)


class Damage(Exception):  # noqa: N818 - a finding, not a failure of the program
    """Data that is not what the format promises."""


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies and what it holds."""

    first_ns: int
    last_ns: int
    offset: int  # of the chunk record in the file
    length: int  # of the chunk record
    indexes: Mapping[int, int] = field(default_factory=dict)  # channel -> offset of its index
    plain: bool = False  # a run of records without a chunk round it

    def message_counts(self, index_bytes: int) -> dict[int, int]:
        """Return the messages of each channel, from where the message indexes lie."""
        offsets = sorted((offset, channel) for channel, offset in self.indexes.items())
        ends = [offset for offset, _ in offsets[1:]] + [self.offset + self.length + index_bytes]
        empty = RECORD_HEAD.size + 6
        return {
            channel: (end - offset - empty) // 16
            for (offset, channel), end in zip(offsets, ends, strict=True)
        }


def record(opcode: int, body: bytes) -> bytes:
    """Return a whole record."""
    return RECORD_HEAD.pack(opcode, len(body)) + body


def text(value: str) -> bytes:
    """Return a length-prefixed string."""
    return sized(value.encode())


def sized(value: bytes) -> bytes:
    """Return length-prefixed bytes."""
    return struct.pack('<I', len(value)) + value


def string_map(values: Mapping[str, str]) -> bytes:
    """Return a map of strings."""
    return sized(b''.join(text(key) + text(value) for key, value in values.items()))


class Fields:
    """Takes fields off the front of a record's body; raises Damage where it is too short."""

    def __init__(self, body: bytes | memoryview) -> None:
        self._body = memoryview(body)
        self._at = 0

    def unpack(self, layout: str) -> tuple[int, ...]:
        """Return the numbers of a little-endian struct layout."""
        form = struct.Struct('<' + layout)
        return form.unpack(self.take(form.size))

    def take(self, size: int) -> memoryview:
        """Return the next bytes."""
        if self._at + size > len(self._body):
            raise Damage('a record ends before its fields do')
        self._at += size
        return self._body[self._at - size : self._at]

    def bytes(self) -> memoryview:
        """Return length-prefixed bytes."""
        return self.take(self.unpack('I')[0])

    def text(self) -> str:
        """Return a string."""
        try:
            return str(self.bytes(), 'utf-8')
        except UnicodeDecodeError as error:
            raise Damage('a string is not UTF-8') from error

    def string_map(self) -> dict[str, str]:
        """Return a map of strings."""
        inner = Fields(self.bytes())
        found = {}
        while inner.left:
            key = inner.text()
            found[key] = inner.text()
        return found

    @property
    def left(self) -> int:
        """How many bytes have not been taken."""
        return len(self._body) - self._at


def records(data: bytes | memoryview) -> Iterator[tuple[int, memoryview, int]]:
    """Give opcode, body and offset of each record in a chunk's data.

    Raises:
        Damage: a record is cut off; those before it have been given.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        if at + RECORD_HEAD.size > len(view):
            raise Damage('a chunk ends inside a record')
        opcode, size = RECORD_HEAD.unpack_from(view, at)
        start = at + RECORD_HEAD.size
        if opcode == 0 or start + size > len(view):
            raise Damage('a chunk ends inside a record')
        yield opcode, view[start : start + size], at
        at = start + size


def unpack_chunk(body: bytes | memoryview) -> bytes:
    """Return the records of a chunk, decompressed and checked.

    Raises:
        Damage: unknown compression, damaged data, wrong size or checksum.
    """
    fields = Fields(body)
    _, _, size, checksum = fields.unpack('QQQI')
    compression = fields.text()
    data = bytes(fields.take(fields.unpack('Q')[0]))
    try:
        data = decompress(data, compression)
    except Damage:
        raise
    except Exception as error:  # each library has its own
        raise Damage(f'a {compression} chunk cannot be decompressed: {error}') from error
    if len(data) != size:
        raise Damage(f'a chunk holds {len(data)} instead of {size} bytes')
    if checksum and zlib.crc32(data) != checksum:
        raise Damage('the checksum of a chunk is wrong')
    return data


def decompress(data: bytes, compression: str) -> bytes:
    """Undo a chunk's compression: none, zstd or lz4."""
    if not compression:
        return data
    if compression == 'zstd':
        return zstd_library().decompress(data)  # type: ignore[no-any-return]
    if compression == 'lz4':
        import lz4.frame

        return lz4.frame.decompress(data)  # type: ignore[no-any-return]
    raise Damage(f'chunk compression {compression!r} is not zstd, lz4 or none')


def compress(data: bytes, compression: str) -> bytes:
    """Compress a chunk: none, zstd or lz4."""
    if compression == 'zstd':
        return zstd_library().compress(data, level=1)  # type: ignore[no-any-return]
    if compression == 'lz4':
        import lz4.frame

        return lz4.frame.compress(data)  # type: ignore[no-any-return]
    return data


def zstd_library():  # type: ignore[no-untyped-def]
    """Return the zstd module: of Python 3.14, or its backport that rosbags installs."""
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd
