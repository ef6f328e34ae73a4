"""Read a rosbag2 recording as far as it can be read, without DDS and without ROS.

The messages equal those of the `rosbags` library on whole recordings (a test compares them);
where that refuses a damaged file, this one goes on and keeps account of what is missing.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml
import zstandard

from semantic_fast_sam_ros.bags.mcap_reader import McapReader, Wanted
from semantic_fast_sam_ros.bags.sqlite_reader import SqliteReader
from semantic_fast_sam_ros.bags.types import MAXIMUM_NS, Loss, Message, Topic
from semantic_fast_sam_ros.core.base.errors import ConfigError

Storage: TypeAlias = McapReader | SqliteReader
STORAGES: dict[str, type[Storage]] = {'.mcap': McapReader, '.db3': SqliteReader}
COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class TopicCount:
    """A topic's name and type, and its messages as far as is known."""

    name: str
    type: str
    messages: int


class BagReader:
    """A recording: a folder of a rosbag2, or one of its files.

    `losses` says what could not be read; it grows while messages are read.
    """

    def __init__(self, path: Path) -> None:
        """Find the files and topics.

        Raises:
            ConfigError: there is no recording, or nothing of it can be read.
        """
        self.path = path
        self.losses: list[Loss] = []
        self._message_compression = False
        self._metadata = self._read_metadata()
        self.files = self._find_files()
        self.topics, self.start_ns, self.end_ns = self._look_in()

    def messages(
        self,
        wanted: Wanted,
        start_ns: int = 0,
        stop_ns: int = MAXIMUM_NS,
        only: int | None = None,
    ) -> Iterator[Message]:
        """Give the messages of the wanted topics with start <= time < stop, file after file.

        `only` is the number of the one file to read.
        """
        for file in self.files if only is None else [self.files[only]]:
            with self._storage(file) as storage:
                if storage is not None:
                    for message in storage.messages(wanted, start_ns, stop_ns):
                        yield from self._decompressed(message, file)
                    self._note(storage.losses)

    def file_extents(self) -> list[tuple[int, int]]:
        """Return first time and end of each file; nothing known: (0, 1)."""
        extents = []
        for file in self.files:
            with self._storage(file) as storage:
                first, last = (storage.extent_ns if storage is not None else None) or (0, 0)
                extents.append((first, last + 1))
        return extents

    def _note(self, losses: list[Loss]) -> None:
        """Add losses that are not known yet: a file is opened more than once."""
        self.losses += [loss for loss in losses if loss not in self.losses]

    def _decompressed(self, message: Message, file: Path) -> Iterator[Message]:
        if not self._message_compression:
            yield message
            return
        try:
            yield message._replace(data=_unpacked(message.data))
        except Exception as error:  # the library's own kinds
            reason = f'a message on {message.topic.name} cannot be decompressed: {error}'
            self.losses.append(Loss(file.name, reason, 1))

    # Files

    def _read_metadata(self) -> dict[str, Any]:
        file = self.path / 'metadata.yaml'
        if not self.path.exists():
            raise ConfigError(f'there is no recording {self.path}')
        if not file.is_file():
            if self.path.is_dir():
                self._note([Loss('metadata.yaml', 'missing: the files were taken as they are')])
            return {}
        try:
            content = yaml.safe_load(file.read_text(encoding='utf-8'))
            known: dict[str, Any] = content['rosbag2_bagfile_information']
            known['relative_file_paths'] = [str(p) for p in known['relative_file_paths']]
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            self._note([Loss('metadata.yaml', f'unreadable: {str(error).splitlines()[0]}')])
            return {}
        compression = str(known.get('compression_mode') or '').lower()
        self._message_compression = compression == 'message'
        return known

    def _find_files(self) -> list[Path]:
        """Return the files in the order of recording."""
        if self.path.is_file():
            return [self.path]
        if not self._metadata:
            found = [p for p in self.path.iterdir() if _kind(p) in STORAGES]
            found.sort(key=_natural)
        else:
            named = [Path(name).name for name in self._metadata['relative_file_paths']]
            found = [self.path / name for name in named]
            missing = [file for file in found if not file.is_file()]
            self._note([Loss(f.name, 'missing', self._count_of(f)) for f in missing])
            found = [file for file in found if file not in missing]
        if not found:
            raise ConfigError(
                f'{self.path} is no rosbag2: it holds no .mcap or .db3 file (or one with .zstd)'
            )
        return found

    def _count_of(self, file: Path) -> int | None:
        for entry in self._metadata.get('files') or []:
            if Path(entry.get('path', '')).name == file.name:
                return int(entry.get('message_count', 0))
        return None

    @contextlib.contextmanager
    def _storage(self, file: Path) -> Iterator[Storage | None]:
        """Open a file, unpacked to a temporary folder if it is compressed."""
        kind = _kind(file)
        if kind not in STORAGES:
            self._note([Loss(file.name, f'{file.suffix} is not a known storage (.mcap, .db3)')])
            yield None
            return
        with contextlib.ExitStack() as stack:
            if file.suffix == '.zstd':
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='bag_')))
                file = self._unpack(file, folder / file.stem)
            storage = STORAGES[kind](file)
            stack.callback(storage.close)
            self._note(storage.losses)
            yield storage

    def _unpack(self, file: Path, target: Path) -> Path:
        """Decompress a file as far as it goes."""
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        with file.open('rb') as packed, target.open('wb') as unpacked:
            try:
                while block := packed.read(COPY_BYTES):
                    while block:
                        if unpacker.eof:  # another frame follows
                            unpacker = zstandard.ZstdDecompressor().decompressobj()
                        unpacked.write(unpacker.decompress(block))
                        block = unpacker.unused_data
                problem = '' if unpacker.eof else 'it is cut off'
            except zstandard.ZstdError as error:
                problem = str(error)
        if problem:
            self._note([Loss(file.name, f'compressed file is damaged: {problem}')])
        return target

    # Topics

    def _look_in(self) -> tuple[list[TopicCount], int, int]:
        """Return topics and extent, from the metadata or else from the files."""
        if self._metadata:
            try:
                return _described(self._metadata)
            except (KeyError, TypeError, ValueError) as error:
                self._note([Loss('metadata.yaml', f'lacks {error}: the files were asked')])
        counts: dict[tuple[str, str], int] = {}
        starts, ends = [], []
        for file in self.files:
            with self._storage(file) as storage:
                if storage is None:
                    continue
                for key, topic in storage.topics.items():
                    place = (topic.name, topic.type)
                    counts[place] = counts.get(place, 0) + storage.counts.get(key, 0)
                if storage.extent_ns is not None:
                    starts.append(storage.extent_ns[0])
                    ends.append(storage.extent_ns[1] + 1)
        if not counts:
            reasons = '; '.join(map(str, self.losses)) or 'it is empty'
            raise ConfigError(f'nothing of {self.path} can be read: {reasons}')
        topics = [TopicCount(name, kind, n) for (name, kind), n in sorted(counts.items())]
        return topics, min(starts, default=0), max(ends, default=0)


def _described(metadata: dict[str, Any]) -> tuple[list[TopicCount], int, int]:
    topics = [
        TopicCount(
            entry['topic_metadata']['name'],
            entry['topic_metadata']['type'],
            int(entry['message_count']),
        )
        for entry in metadata['topics_with_message_count']
    ]
    start = int(metadata['starting_time']['nanoseconds_since_epoch'])
    duration = int(metadata['duration']['nanoseconds'])
    return topics, start, start + duration + 1


def _unpacked(data: bytes) -> bytes:
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    unpacked = unpacker.decompress(data)
    if not unpacker.eof:
        raise ValueError('it is cut off')
    return unpacked


def _kind(file: Path) -> str:
    return Path(file.stem).suffix if file.suffix == '.zstd' else file.suffix


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sort part 10 after part 9."""
    parts = re.split(r'(\d+)', file.name)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]


def is_bag(path: Path) -> bool:
    """Say whether a path is a folder or file of one rosbag2."""
    if not path.is_dir():
        return is_bag_file(path)
    if (path / 'metadata.yaml').is_file():
        return True
    files = [file.name.partition(_kind(file))[0] for file in path.iterdir() if is_bag_file(file)]
    # rosbag2 numbers the files of a split recording: other names are recordings of their own.
    return len({re.sub(r'_\d+$', '', name) for name in files}) == 1


def is_bag_file(path: Path) -> bool:
    """Say whether a path is a file that rosbag2 stores messages in."""
    return path.is_file() and _kind(path) in STORAGES


def all_topics(topic: Topic) -> bool:
    """Want every topic."""
    return True
