"""Which files a recording consists of, and what metadata.yaml says of them.

What a file is, its first bytes say and not its name; metadata.yaml is compared with what is there.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml
import zstandard

from semantic_fast_sam_ros.bags.types import Loss
from semantic_fast_sam_ros.core.base.errors import ConfigError, reason_of
from semantic_fast_sam_ros.core.images.files import what_instead
from semantic_fast_sam_ros.core.images.walking import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    files_below,
    natural,
)

METADATA = 'metadata.yaml'
INFORMATION = 'rosbag2_bagfile_information'
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
MCAP, SQLITE, ROS1, PACKED = 'mcap', 'sqlite3', 'ROS 1', 'packed'
MAGICS = {b'\x89MCAP': MCAP, b'SQLite format 3': SQLITE, b'#ROSBAG V': ROS1}
SUFFIXES = {'.mcap': MCAP, '.db3': SQLITE, '.bag': ROS1}
COMPRESSED = ('.zstd', '.zst')
# What recorders and copies call a file that they have not finished.
UNFINISHED = ('.active', '.part', '.partial', '.filepart', '.crdownload', '.tmp')
PACKINGS = {
    **{'.gz': 'gzip -d', '.bz2': 'bzip2 -d', '.xz': 'xz -d', '.lz4': 'lz4 -d', '.zip': 'unzip'},
    **{'.tar': 'tar -xf', '.tgz': 'tar -xf', '.7z': '7z x', '.rar': 'unrar x'},
}
NAMES = tuple(
    suffix + packed + rest
    for suffix in SUFFIXES
    for packed in ('', *COMPRESSED, *PACKINGS)
    for rest in ('', *UNFINISHED)
)
HEAD_BYTES = 32


@dataclass
class Metadata:
    """What metadata.yaml says, as far as it says anything."""

    files: list[str] = field(default_factory=list)
    file_messages: dict[str, int] = field(default_factory=dict)
    topics: dict[str, int] = field(default_factory=dict)  # messages of each
    start_ns: int | None = None


def storage_of(path: Path) -> str:
    """Return 'mcap', 'sqlite3', 'ROS 1', 'packed' or '': by a file's first bytes or its name."""
    head = _head(path)
    if path.suffix.lower() in PACKINGS:
        return PACKED
    by_head = [storage for magic, storage in MAGICS.items() if head.startswith(magic)]
    return by_head[0] if by_head else SUFFIXES.get(Path(plain_name(path)).suffix.lower(), '')


def _head(path: Path) -> bytes:
    """Return how a file begins, decompressed."""
    head = b''
    with suppress(OSError), path.open('rb') as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(ZSTD_MAGIC):
            file.seek(0)
            with suppress(zstandard.ZstdError):
                head = zstandard.ZstdDecompressor().stream_reader(file).read(HEAD_BYTES)
    return head


def not_a_recording(path: Path) -> str:
    """Return what lies under a recording's name if its file never came; '' if it may be one."""
    return what_instead(_head(path))


def is_compressed(path: Path) -> bool:
    """Say whether a file is compressed as a whole."""
    with path.open('rb') as file:
        return file.read(len(ZSTD_MAGIC)) == ZSTD_MAGIC


def plain_name(path: Path) -> str:
    """Return a file's name without what says that it is unfinished, or compressed."""
    name = path.name
    for endings in (UNFINISHED, COMPRESSED):
        name = Path(name).stem if Path(name).suffix.lower() in endings else name
    return name


def stem(path: Path) -> str:
    """Return a file's name without its suffixes of storage and compression."""
    return Path(plain_name(path)).stem


def part_name(path: Path) -> str:
    """Return the name that the files of a split recording have in common."""
    return re.sub(r'_\d+$', '', stem(path))


def is_bag_file(path: Path) -> bool:
    """Say whether a path is a file of messages, of rosbag2 or ROS 1."""
    return path.is_file() and bool(storage_of(path))


def bag_files(folder: Path) -> list[Path]:
    """Return the files of messages in a folder by their names, part 10 after part 9."""
    return files_below(folder, NAMES, deep=False)


def recording_path(path: Path) -> Path:
    """Return a recording's folder where its metadata.yaml is named."""
    return path.parent if path.name == METADATA and path.is_file() else path


def is_bag(path: Path) -> bool:
    """Say whether a path is a folder or file of one recording."""
    path = recording_path(path)
    if not path.is_dir():
        return is_bag_file(path)
    try:
        # Data sets of photos have a metadata.yaml of their own.
        if (path / METADATA).is_file() and (bag_files(path) or _is_rosbag2s(path / METADATA)):
            return True
        # rosbag2 numbers the files of a split recording: other names are recordings of their own.
        return len({part_name(file) for file in bag_files(path)}) == 1
    except (ConfigError, PermissionError):
        return True  # why it cannot be read is told when it is


def _is_rosbag2s(metadata: Path) -> bool:
    return b'rosbag2' in metadata.read_bytes()


def recordings_below(folder: Path, but: Path | None = None) -> tuple[list[Path], list[str]]:
    """Return the recordings in a folder and the folders in it, and what is passed over and why.

    Args:
        folder: to walk through, in natural order.
        but: a folder to leave out, such as one that is written to.
    """
    unread: list[OSError] = []
    files = [
        file
        for file in files_below(folder, ('',), but=but, unread=unread)
        if file.suffix.lower() not in IMAGE_SUFFIXES + VIDEO_SUFFIXES
    ]
    there = set(files)
    bags = {place for place in {file.parent for file in files} - {folder} if is_bag(place)}
    found = [Path(error.filename) for error in unread]  # why is told when they are opened
    told = []
    for file in files:
        plain = file.with_name(plain_name(file))
        if bag := next((place for place in reversed(file.parents) if place in bags), None):
            found += [bag] if bag not in found else []
        elif plain != file and plain in there:
            told.append(f'{file} is passed over: {plain.name} is there')
        elif file.suffix.lower() in PACKINGS and not file.name.lower().endswith(NAMES):
            told.append(f'{file} is passed over: {_packed(file)}')
        elif is_bag_file(file):
            found.append(file)
    return found, told


def _packed(file: Path) -> str:
    command = PACKINGS['.tar' if '.tar.' in file.name else file.suffix.lower()]
    return f'it is packed: unpack it first, by {command} {file.name}'


def read_metadata(folder: Path) -> Metadata:
    """Read what metadata.yaml says; raises ValueError where it is not rosbag2's."""
    try:
        text = (folder / METADATA).read_text(encoding='utf-8')
        whole = yaml.safe_load(text)
        if not isinstance(whole, dict) or not isinstance(whole.get(INFORMATION), dict):
            raise ValueError('it is empty' if whole is None else f'it has no {INFORMATION}')
        known = whole[INFORMATION]
        # Recorders of other machines may have written their own paths, and separators.
        paths = known.get('relative_file_paths') or []
        found = Metadata(list(dict.fromkeys(PureWindowsPath(str(path)).name for path in paths)))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise ValueError(reason_of(error).splitlines()[0]) from error
    for entry in _entries(known, 'files'):
        with suppress(KeyError, TypeError, ValueError):
            found.file_messages[PureWindowsPath(entry['path']).name] = int(entry['message_count'])
    for entry in _entries(known, 'topics_with_message_count'):
        with suppress(KeyError, TypeError, ValueError):
            found.topics[str(entry['topic_metadata']['name'])] = int(entry['message_count'])
    with suppress(KeyError, TypeError, ValueError):
        found.start_ns = int(known['starting_time']['nanoseconds_since_epoch'])
    return found


def _entries(known: dict[str, Any], key: str) -> list[Any]:
    entries = known.get(key)
    return entries if isinstance(entries, list) else []


def find_files(path: Path, metadata: Metadata | None) -> tuple[list[Path], list[Loss], list[str]]:
    """Return the files of a recording in order, the missing ones, and what differs.

    Args:
        path: a folder of a rosbag2, or one of its files.
        metadata: of the folder; None where there is none that can be read.

    Raises:
        ConfigError: there is no file of messages, or it is of ROS 1.
    """
    if path.is_file():
        return [_of_ros2(path)], [], []
    there = [file for file in bag_files(path) if file.is_file()]
    names = {plain_name(file).casefold(): file for file in there}
    found, losses, notes = [], [], []
    for name in metadata.files if metadata is not None else []:
        file = path / name if (path / name).is_file() else None
        file = file or names.get(plain_name(path / name).casefold())
        if file is None:
            count = metadata.file_messages.get(name) if metadata is not None else None
            losses.append(Loss(name, 'missing', count))
            continue
        if file.name != name:
            notes.append(f'{METADATA} lists {name}, {file.name} is there: read')
        found.append(file)
    others = [file for file in there if file not in found]
    kept = _further(found, others)
    if metadata is not None:
        notes += [f'{METADATA} does not list {file.name}: read all the same' for file in kept]
    left = [file for file in others if file not in kept]
    notes += [f'{file.name} is left out: a copy, or another recording' for file in left]
    if kept:
        found = sorted([*found, *kept], key=lambda file: natural(file.name))
    if not found:
        raise ConfigError(
            f'{path} is no rosbag2: it holds no .mcap or .db3 file (or one with .zstd)'
        )
    return [_of_ros2(file) for file in found], losses, notes


def _further(found: list[Path], others: list[Path]) -> list[Path]:
    """Return the other files that are parts of a recording: not its copies in another form."""
    kept: list[Path] = []
    for file in sorted(others, key=lambda file: file.name != plain_name(file)):
        known = [*found, *kept]
        copy = stem(file) in map(stem, known)
        alike = [(part_name(other), storage_of(other)) for other in found]
        if not copy and (not found or (part_name(file), storage_of(file)) in alike):
            kept.append(file)
    return kept


def _of_ros2(path: Path) -> Path:
    storage = storage_of(path)
    if storage == ROS1:
        raise ConfigError(
            f'{path} is a ROS 1 bag: convert it first, such as by '
            f'rosbags-convert --src {path.name} --dst {path.stem} (it comes with this package)'
        )
    if storage == PACKED:
        raise ConfigError(f'{path} cannot be read: {_packed(path)}')
    if not storage:
        raise ConfigError(
            f'{path} is no file of a rosbag2: it begins neither as MCAP nor as SQLite'
        )
    return path
