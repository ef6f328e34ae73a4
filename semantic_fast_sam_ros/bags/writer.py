"""Write a rosbag2 recording: a folder with one storage file and metadata.yaml."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from semantic_fast_sam_ros.bags.mcap_writer import McapWriter
from semantic_fast_sam_ros.bags.sqlite_writer import SqliteWriter
from semantic_fast_sam_ros.bags.storage_writer import StorageWriter
from semantic_fast_sam_ros.bags.types import Message

STORAGES: dict[str, type[McapWriter] | type[SqliteWriter]] = {
    'mcap': McapWriter,
    'sqlite3': SqliteWriter,
}
SUFFIXES = {'mcap': '.mcap', 'sqlite3': '.db3'}
# The newest version whose QoS is text, which is what Humble to Lyrical all read.
METADATA_VERSION = 8


class BagWriter:
    """A recording in work. Not for two threads at once."""

    def __init__(self, folder: Path, storage: str = 'mcap', compression: str = 'zstd') -> None:
        """Create the folder and file, or open what is there."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._kind = storage
        self._file = storage_file(folder, storage)
        (folder / 'metadata.yaml').unlink(missing_ok=True)  # it tells of a closed recording
        self.storage: StorageWriter = STORAGES[storage](self._file, compression)

    def write(self, message: Message, sequence: int) -> None:
        """Add a message; `sequence` numbers the input message that it comes from."""
        self.storage.write(message, sequence)

    def end_of_frame(self) -> None:
        """Say that what was written so far belongs together; raises OSError on a full disk."""
        self.storage.end_of_frame()

    def recover(self, replay: Callable[[Message], None]) -> int:
        """Go on with what the file holds, giving it out; return the last sequence number."""
        self.storage.recover(replay)
        return self.storage.cursor

    def close(self) -> None:
        """Close the file and write metadata.yaml.

        Raises:
            OSError: the last messages found no room; those before are in a closed recording.
        """
        problem: OSError | None = None
        try:
            self.storage.flush()
        except OSError as error:
            problem = error
        metadata = self._metadata()
        self.storage.close(yaml.safe_dump(metadata, sort_keys=False).strip())
        text = yaml.safe_dump({'rosbag2_bagfile_information': metadata}, sort_keys=False)
        write_whole(self.folder / 'metadata.yaml', text)
        if problem is not None:
            raise problem

    def _metadata(self) -> dict[str, Any]:
        first, last = self.storage.extent_ns
        extent = {
            'duration': {'nanoseconds': last - first},
            'starting_time': {'nanoseconds_since_epoch': first},
            'message_count': self.storage.message_count,
        }
        topics = [
            {
                'topic_metadata': {
                    'name': topic.name,
                    'type': topic.type,
                    'serialization_format': topic.serialization,
                    'offered_qos_profiles': topic.qos,
                    'type_description_hash': topic.type_hash,
                },
                'message_count': count,
            }
            for topic, count in self.storage.topic_counts.items()
        ]
        return {
            'version': METADATA_VERSION,
            'storage_identifier': self._kind,
            **extent,
            'topics_with_message_count': topics,
            'compression_format': '',  # of files and messages; MCAP compresses its own chunks
            'compression_mode': '',
            'relative_file_paths': [self._file.name],
            'files': [{'path': self._file.name, **copy.deepcopy(extent)}],
            'custom_data': None,
            'ros_distro': 'jazzy',
        }


def storage_file(folder: Path, storage: str) -> Path:
    """Return the file of a recording's folder, named as rosbag2 names it."""
    return folder / f'{folder.resolve().name}_0{SUFFIXES[storage]}'


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a small file so that it is never seen half written.

    A text may hold names of files that are no UTF-8: they are written as escapes.
    """
    data = content.encode('utf-8', 'backslashreplace') if isinstance(content, str) else content
    partial = path.with_name(f'.{os.getpid()}.part')  # the name itself may be as long as allowed
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
