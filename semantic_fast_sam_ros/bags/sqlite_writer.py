"""Write one SQLite3 storage file of a rosbag2, frame by whole frame."""

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from semantic_fast_sam_ros.bags.storage_writer import StorageWriter
from semantic_fast_sam_ros.bags.types import Message, Topic

# Beside rosbag2's tables: what of the input is done.
PROGRESS = """
CREATE TABLE label_progress(cursor INTEGER NOT NULL);
INSERT INTO label_progress VALUES (0);
"""
METADATA_VERSION = 8


class SqliteWriter(StorageWriter):
    """One file."""

    def __init__(self, path: Path, compression: str = '') -> None:
        """Create a file, or open one that exists; SQLite storage has no compression."""
        super().__init__()
        fresh = not path.exists()
        self._base = sqlite3.connect(path, check_same_thread=False)
        if fresh:
            self._base.executescript(Sqlite3Writer.SQLITE_SCHEMA + PROGRESS)

    def recover(self, replay: Callable[[Message], None]) -> None:
        """Go on with what an existing file holds: give out its messages and count them."""
        query = (
            'SELECT topics.id, name, type, encoded_message_definition, encoding, '
            'topics.type_description_hash, offered_qos_profiles, serialization_format '
            'FROM topics JOIN message_definitions ON topic_type = type ORDER BY topics.id'
        )
        topics = {key: Topic(*fields) for key, *fields in self._base.execute(query)}
        query = 'SELECT topic_id, timestamp, data FROM messages ORDER BY id'
        for key, time_ns, data in self._base.execute(query):
            message = Message(topics[key], time_ns, data)
            self._count([message])
            replay(message)
        (self.cursor,) = self._base.execute('SELECT cursor FROM label_progress').fetchone()
        with self._transaction():
            self._base.execute('DELETE FROM metadata')

    def _finish(self, metadata: str) -> None:
        query = 'INSERT INTO metadata(metadata_version, metadata) VALUES (?, ?)'
        try:
            with self._transaction():
                self._base.execute(query, (METADATA_VERSION, metadata))
        finally:
            self._base.close()

    def _store(self, messages: list[Message]) -> None:
        topics = dict.fromkeys((*self.topic_counts, *(message.topic for message in messages)))
        keys = {topic: key for key, topic in enumerate(topics, 1)}
        types = {topic.type for topic in self.topic_counts}
        with self._transaction():
            for topic, key in list(keys.items())[len(self.topic_counts) :]:
                row = (
                    key,
                    topic.name,
                    topic.type,
                    topic.serialization,
                    topic.qos,
                    topic.type_hash,
                )
                self._base.execute('INSERT INTO topics VALUES (?, ?, ?, ?, ?, ?)', row)
                if topic.type not in types:
                    types.add(topic.type)
                    self._define(topic)
            query = 'INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)'
            self._base.executemany(query, ((keys[m.topic], m.time_ns, m.data) for m in messages))
            done = (messages[-1].sequence,)
            self._base.execute('UPDATE label_progress SET cursor = ?', done)

    def _define(self, topic: Topic) -> None:
        query = (
            'INSERT INTO message_definitions(topic_type, encoding, encoded_message_definition, '
            'type_description_hash) VALUES (?, ?, ?, ?)'
        )
        text = topic.definition.encode(errors='surrogateescape').decode(errors='replace')
        row = (topic.type, topic.definition_encoding, text, topic.type_hash)
        self._base.execute(query, row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is done inside, or take it back and raise OSError."""
        try:
            with self._base:
                yield
        except sqlite3.Error as error:
            raise OSError(errno.ENOSPC, f'SQLite: {error}') from error
