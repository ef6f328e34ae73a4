"""Write one SQLite3 storage file of a rosbag2, frame by whole frame."""

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path

from semantic_fast_sam_ros.bags.types import Message, Topic

COMMIT_BYTES = 1 << 20  # of messages
SCHEMA = """
CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL,
    metadata TEXT NOT NULL);
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
    serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL,
    type_description_hash TEXT NOT NULL);
CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL,
    encoding TEXT NOT NULL, encoded_message_definition TEXT NOT NULL,
    type_description_hash TEXT NOT NULL);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL,
    timestamp INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX timestamp_idx ON messages (timestamp ASC);
CREATE TABLE label_progress(cursor INTEGER NOT NULL);
INSERT INTO schema VALUES (4, 'jazzy');
INSERT INTO label_progress VALUES (0);
"""


class SqliteWriter:
    """One file, with the interface of McapWriter."""

    def __init__(self, path: Path, compression: str = '') -> None:
        """Create a file, or open one that exists; SQLite storage has no compression."""
        fresh = not path.exists()
        self._base = sqlite3.connect(path, check_same_thread=False)
        if fresh:
            self._base.executescript(SCHEMA)
        self._topics: dict[Topic, int] = {}
        self._counts: dict[int, int] = {}
        self._pending: list[tuple[int, Message]] = []
        self._pending_bytes = 0
        self._extent = (2**63 - 1, 0)
        self._pending_cursor = 0
        self.cursor = 0

    @property
    def message_count(self) -> int:
        """How many messages are in the file or about to be."""
        return sum(self._counts.values())

    @property
    def extent_ns(self) -> tuple[int, int]:
        """First and last time of the messages; zeros without any."""
        return self._extent if self.message_count else (0, 0)

    @property
    def topic_counts(self) -> dict[Topic, int]:
        """How many messages each topic has."""
        return {topic: self._counts[key] for topic, key in self._topics.items()}

    def write(self, message: Message, sequence: int) -> None:
        """Add a message; `sequence` says from which input message it came."""
        if message.topic not in self._topics:
            self._topics[message.topic] = len(self._topics) + 1
            self._counts[self._topics[message.topic]] = 0
        key = self._topics[message.topic]
        self._counts[key] += 1
        self._pending.append((key, message))
        self._pending_bytes += len(message.data)
        self._pending_cursor = sequence

    def end_of_frame(self) -> None:
        """Allow a commit here; raises OSError if the disk is full."""
        if self._pending_bytes >= COMMIT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Commit what is pending; raises OSError if the disk is full, and takes it back."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if not pending:
            return
        try:
            with self._base:
                self._insert(pending)
        except sqlite3.Error as error:
            for key, _ in pending:
                self._counts[key] -= 1
            raise OSError(errno.ENOSPC, f'SQLite: {error}') from error
        times = [message.time_ns for _, message in pending]
        self._extent = (min(self._extent[0], *times), max(self._extent[1], *times))
        self.cursor = self._pending_cursor

    def close(self, metadata: str = '') -> None:
        """Commit, add the metadata of rosbag2, close."""
        try:
            self.flush()
            with self._base:
                row = (8, metadata)
                query = 'INSERT INTO metadata(metadata_version, metadata) VALUES (?, ?)'
                self._base.execute(query, row)
        except sqlite3.Error as error:
            raise OSError(errno.ENOSPC, f'SQLite: {error}') from error
        finally:
            self._base.close()

    def abandon(self) -> None:
        """Let go of the file without an end, as a killed process would."""
        self._base.close()

    def recover(self, replay: Callable[[Message], None]) -> None:
        """Go on with an existing file: give out its messages and count them."""
        query = (
            'SELECT topics.id, name, type, encoding, encoded_message_definition, '
            'topics.type_description_hash, offered_qos_profiles FROM topics '
            'JOIN message_definitions ON topic_type = type ORDER BY topics.id'
        )
        for key, name, kind, encoding, body, digest, qos in self._base.execute(query):
            self._topics[Topic(name, kind, body, encoding, digest, qos)] = key
            self._counts[key] = 0
        topics = {key: topic for topic, key in self._topics.items()}
        first, last = self._extent
        query = 'SELECT topic_id, timestamp, data FROM messages ORDER BY id'
        for key, time_ns, data in self._base.execute(query):
            self._counts[key] += 1
            first, last = min(first, time_ns), max(last, time_ns)
            replay(Message(topics[key], time_ns, data))
        self._extent = (first, last)
        (self.cursor,) = self._base.execute('SELECT cursor FROM label_progress').fetchone()
        with self._base:
            self._base.execute('DELETE FROM metadata')

    def _insert(self, pending: list[tuple[int, Message]]) -> None:
        known = {row[0] for row in self._base.execute('SELECT id FROM topics')}
        types = {
            row[0] for row in self._base.execute('SELECT topic_type FROM message_definitions')
        }
        for topic, key in self._topics.items():
            if key not in known:
                row = (key, topic.name, topic.type, 'cdr', topic.qos, topic.type_hash)
                self._base.execute('INSERT INTO topics VALUES (?, ?, ?, ?, ?, ?)', row)
            if topic.type not in types:
                types.add(topic.type)
                values = (topic.type, topic.definition_encoding, topic.definition, topic.type_hash)
                query = (
                    'INSERT INTO message_definitions(topic_type, encoding, '
                    'encoded_message_definition, type_description_hash) VALUES (?, ?, ?, ?)'
                )
                self._base.execute(query, values)
        query = 'INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)'
        rows = ((key, message.time_ns, message.data) for key, message in pending)
        self._base.executemany(query, rows)
        self._base.execute('UPDATE label_progress SET cursor = ?', (self._pending_cursor,))
