"""Read a rosbag2 recording as far as it can be read, without DDS and without ROS.

The messages equal those of the `rosbags` library on whole recordings (a test compares them);
where that refuses a damaged file, this one goes on and keeps account of what is missing.
"""

import contextlib
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import lz4.frame
import zstandard

from semantic_fast_sam_ros.bags.mcap_reader import McapReader, Wanted
from semantic_fast_sam_ros.bags.recording_files import (
    MCAP,
    METADATA,
    ZSTD_MAGIC,
    Metadata,
    find_files,
    is_compressed,
    not_a_recording,
    plain_name,
    read_metadata,
    recording_path,
    storage_of,
)
from semantic_fast_sam_ros.bags.sqlite_reader import SqliteReader
from semantic_fast_sam_ros.bags.types import MAXIMUM_NS, MINIMUM_NS, Loss, Message, Topic
from semantic_fast_sam_ros.core.base.errors import ConfigError, reason_of

COPY_BYTES = 1 << 20
LZ4_MAGIC = b'\x04\x22\x4d\x18'
START_TOLERANCE_NS = 10**9  # between metadata.yaml and the files
Storage: TypeAlias = McapReader | SqliteReader


@dataclass(frozen=True)
class TopicCount:
    """A topic's name, type and serialization, and how many messages it has."""

    name: str
    type: str
    messages: int | None  # None: unknown
    serialization: str = 'cdr'


class BagReader:
    """A recording: a folder of a rosbag2, or one of its files.

    `losses` says what could not be read, and grows while messages are read; `notes` says what
    differs from what metadata.yaml says, with nothing lost by it.
    """

    def __init__(self, path: Path) -> None:
        """Find the files and ask them for their topics.

        Raises:
            ConfigError: there is no recording, or nothing of it can be read.
        """
        self.path = path = recording_path(path)
        self.losses: list[Loss] = []
        self.notes: list[str] = []
        self._unpacked: tuple[Path, tempfile.TemporaryDirectory[str]] | None = None
        metadata = self._read_metadata()
        self.files, missing, self.notes = find_files(path, metadata)
        self._note(missing)
        self.topics, self.start_ns, self.end_ns = self._look_in()
        if metadata is not None:
            self._compare(metadata)

    def messages(
        self,
        wanted: Wanted,
        start_ns: int = MINIMUM_NS,
        stop_ns: int = MAXIMUM_NS,
        only: int | None = None,
    ) -> Iterator[Message]:
        """Give the messages of the wanted topics with start <= time < stop, file after file.

        `only` is the number of the one file to read.
        """
        for file in self.files if only is None else [self.files[only]]:
            with self._storage(file) as storage:
                if storage is not None:
                    yield from self._decompressed(storage, wanted, start_ns, stop_ns)
                    self._note(storage.losses)

    def times(self, wanted: Wanted, file: int) -> Iterator[int]:
        """Give the times of a file's messages on the wanted topics, in any order."""
        with self._storage(self.files[file]) as storage:
            if storage is not None:
                yield from storage.times(wanted)

    def _note(self, losses: list[Loss]) -> None:
        """Add losses that are not known yet: a file is opened more than once."""
        self.losses += [loss for loss in losses if loss not in self.losses]

    def _decompressed(
        self, storage: Storage, wanted: Wanted, start_ns: int, stop_ns: int
    ) -> Iterator[Message]:
        """Give a file's messages, each decompressed if it begins as compressed data do."""
        failed = Counter[str]()
        for message in storage.messages(wanted, start_ns, stop_ns):
            if message.data[:4] not in (ZSTD_MAGIC, LZ4_MAGIC):  # CDR begins with a zero
                yield message
                continue
            try:
                yield message._replace(data=_decompress(message.data))
            except Exception as error:  # the libraries' own kinds
                reason = f'a message on {message.topic.name} cannot be decompressed: {error}'
                failed[reason] += 1
        self._note([Loss(storage.name, reason, count) for reason, count in failed.items()])

    # Files

    def _read_metadata(self) -> Metadata | None:
        if not self.path.exists():
            raise ConfigError(f'there is no recording {self.path}')
        if not self.path.is_dir():
            return None
        try:
            there = (self.path / METADATA).is_file()
        except PermissionError as error:
            raise ConfigError(f'{self.path} cannot be read: {error.strerror}') from error
        if not there:
            self._note([Loss(METADATA, 'missing: the files were taken as they are')])
            return None
        try:
            return read_metadata(self.path)
        except ValueError as error:
            self._note([Loss(METADATA, f'unreadable: {error}')])
            return None

    @contextlib.contextmanager
    def _storage(self, file: Path) -> Iterator[Storage | None]:
        """Open a file, unpacked to a temporary folder if it is compressed."""
        storage: Storage | None = None
        try:
            if not file.stat().st_size:
                raise OSError('it is empty: 0 bytes')
            if instead := not_a_recording(file):
                raise OSError(f'it is {instead}')
            kind = storage_of(file)
            plain = self._unpack(file) if is_compressed(file) else file
            storage = McapReader(plain) if kind == MCAP else SqliteReader(plain)
        except (OSError, sqlite3.Error) as error:
            self._note([Loss(file.name, f'cannot be opened: {reason_of(error)}')])
        try:
            if storage is not None:
                self._note(storage.losses)
            yield storage
        finally:
            if storage is not None:
                storage.close()

    def _unpack(self, file: Path) -> Path:
        """Decompress a file as far as it goes; the last one is kept for the next time."""
        if self._unpacked is None or self._unpacked[0] != file:
            self._unpacked = (file, tempfile.TemporaryDirectory(prefix='bag_'))
            problem = _unpack(file, Path(self._unpacked[1].name) / plain_name(file))
            if problem:
                self._note([Loss(file.name, f'compressed file is damaged: {problem}')])
        return Path(self._unpacked[1].name) / plain_name(file)

    # Topics

    def _look_in(self) -> tuple[list[TopicCount], int, int]:
        """Return topics and extent, from the files themselves."""
        counts: dict[tuple[str, str, str], int | None] = {}
        extents = []
        for file in self.files:
            with self._storage(file) as storage:
                if storage is None:
                    continue
                for key, topic in storage.topics.items():
                    place = (topic.name, topic.type, topic.serialization)
                    here = storage.counts.get(key, 0) if storage.counts else None
                    before = counts.get(place, 0)
                    counts[place] = None if before is None or here is None else before + here
                if storage.extent_ns is not None:
                    extents.append(storage.extent_ns)
        if not counts:
            reasons = '; '.join(map(str, self.losses)) or 'it is empty'
            raise ConfigError(f'nothing of {self.path} can be read: {reasons}')
        topics = [
            TopicCount(name, kind, n, encoding)
            for (name, kind, encoding), n in sorted(counts.items())
        ]
        first = min((first for first, _ in extents), default=0)
        return topics, first, max((last + 1 for _, last in extents), default=0)

    def _compare(self, metadata: Metadata) -> None:
        """Note what metadata.yaml says otherwise than the files."""
        for topic in self.topics:
            told = metadata.topics.get(topic.name)
            if told is None:
                self.notes.append(f'{METADATA} does not name the topic {topic.name}')
            # What is lost is told otherwise.
            elif topic.messages not in (told, None) and not self.losses:
                self.notes.append(
                    f'{METADATA} counts {told} messages of {topic.name}, '
                    f'the files hold {topic.messages}'
                )
        start = metadata.start_ns
        if start is not None and abs(start - self.start_ns) > START_TOLERANCE_NS:
            self.notes.append(
                f'{METADATA} says that it begins at {start} ns, the first message is of '
                f'{self.start_ns} ns'
            )


def _unpack(file: Path, target: Path) -> str:
    """Decompress a file as far as it goes; return what is wrong with it, or ''."""
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    with file.open('rb') as packed, target.open('wb') as unpacked:
        try:
            while block := packed.read(COPY_BYTES):
                while block:
                    if unpacker.eof:  # another frame follows
                        unpacker = zstandard.ZstdDecompressor().decompressobj()
                    unpacked.write(unpacker.decompress(block))
                    block = unpacker.unused_data
        except zstandard.ZstdError as error:
            return str(error)
    return '' if unpacker.eof else 'it is cut off'


def _decompress(data: bytes) -> bytes:
    if data.startswith(LZ4_MAGIC):
        unpacked: bytes = lz4.frame.decompress(data)
        return unpacked
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    plain = unpacker.decompress(data)
    if not unpacker.eof:
        raise ValueError('it is cut off')
    return plain


def all_topics(topic: Topic) -> bool:
    """Want every topic."""
    return True
