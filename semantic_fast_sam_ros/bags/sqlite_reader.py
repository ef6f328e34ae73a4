"""Read one SQLite3 storage file of a rosbag2, whole or damaged.

The reader of `rosbags` gives up at the first damaged page, passes over the write-ahead log of a
killed recorder and refuses files that were cut off; this one reads what is left.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags.types import Loss, Message, Topic

# So many unreadable rows in a row are the end of a file that was cut off.
GIVE_UP_ROWS = 2000
Row = tuple[int, int, int, bytes]  # id, topic id, time, data


class SqliteReader:
    """One file. `losses` grows while it is opened and read."""

    def __init__(self, path: Path) -> None:
        """Open a file and find its topics; raises sqlite3.Error if it cannot be opened."""
        self.losses: list[Loss] = []
        self.topics: dict[int, Topic] = {}
        self.counts: dict[int, int] = {}
        self.extent_ns: tuple[int, int] | None = None
        self.name = path.name
        # A recorder that was killed leaves its last messages in a write-ahead log beside the file.
        log = path.with_name(path.name + '-wal')
        mode = 'mode=ro' if log.exists() and log.stat().st_size else 'immutable=1'
        self._base = sqlite3.connect(
            f'{path.resolve().as_uri()}?{mode}', uri=True, check_same_thread=False
        )
        # SQLite refuses a file that is shorter than it says, unless it may be repaired.
        self._base.execute('PRAGMA writable_schema=ON')
        self._base.text_factory = lambda raw: raw.decode(errors='replace')
        try:
            self._read_topics()
        except sqlite3.Error as error:
            self.losses.append(Loss(self.name, f'topics cannot be read: {error}'))
            return
        self._read_extent()

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def messages(
        self, wanted: Callable[[Topic], bool], start_ns: int, stop_ns: int
    ) -> Iterator[Message]:
        """Give the messages of the wanted topics with start <= time < stop, in order of time."""
        ids = [i for i, topic in self.topics.items() if wanted(topic)]
        marks = ','.join('?' * len(ids))
        where = f'topic_id IN ({marks}) AND timestamp >= ? AND timestamp < ?'
        select = f'SELECT id, topic_id, timestamp, data FROM messages WHERE {where}'
        bounds = (*ids, start_ns, stop_ns)
        last = (start_ns - 1, -1)
        try:
            for row in self._base.execute(f'{select} ORDER BY timestamp, id', bounds):
                last = (row[2], row[0])
                yield self._message(row)
        except sqlite3.Error as error:
            reason = str(error)
        else:
            return
        lost = 0
        for row in self._salvage(select, bounds, last):
            if isinstance(row, int):
                lost += row
            else:
                yield self._message(row)
        self.losses.append(Loss(self.name, f'damaged: {reason}', lost or None))

    def times(self, wanted: Callable[[Topic], bool]) -> Iterator[int]:
        """Give the times of the messages on the wanted topics, in any order."""
        ids = [i for i, topic in self.topics.items() if wanted(topic)]
        marks = ','.join('?' * len(ids))
        with suppress(sqlite3.Error):  # damage is told when the messages are read
            query = f'SELECT timestamp FROM messages WHERE topic_id IN ({marks})'
            yield from (time_ns for (time_ns,) in self._base.execute(query, ids))

    def _message(self, row: Row) -> Message:
        return Message(self.topics[row[1]], row[2], bytes(row[3]))

    def _salvage(
        self, select: str, bounds: tuple[int, ...], last: tuple[int, int]
    ) -> Iterator[Row | int]:
        """Give what can be read after `last` (time, id) as stored, and counts of lost rows."""
        later = f'{select} AND (timestamp, id) > (?, ?) AND id > ? ORDER BY id'
        row_id, failures = 0, 0
        while failures < GIVE_UP_ROWS:
            try:
                for row in self._base.execute(later, (*bounds, *last, row_id)):
                    if failures:
                        yield failures
                    failures, row_id = 0, row[0]
                    yield row
                return
            except sqlite3.Error:
                failures += 1
                row_id += 1

    def _read_topics(self) -> None:
        """Read what each release of rosbag2 stores: Humble has no definitions and no hashes."""
        kinds = {row['topic_type']: row for row in self._rows('message_definitions')}
        topics = self._rows('topics')
        if not topics and not self._base.execute('PRAGMA table_info(topics)').fetchall():
            raise sqlite3.DatabaseError('the file has no table `topics`')
        for row in topics:
            kind = kinds.get(row['type'], {})
            self.topics[row['id']] = Topic(
                row['name'],
                row['type'],
                kind.get('encoded_message_definition', ''),
                kind.get('encoding', 'ros2msg'),
                row.get('type_description_hash', ''),
                str(row.get('offered_qos_profiles') or ''),
                row.get('serialization_format') or 'cdr',
            )

    def _rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table, by column; none where there is no such table."""
        columns = [row[1] for row in self._base.execute(f'PRAGMA table_info({table})')]
        rows = self._base.execute(f'SELECT * FROM {table} ORDER BY id') if columns else ()
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _read_extent(self) -> None:
        with suppress(sqlite3.Error):  # damage is told when the messages are read
            query = 'SELECT min(timestamp), max(timestamp) FROM messages'
            extent = self._base.execute(query).fetchone()
            self.extent_ns = extent if extent[0] is not None else None
            query = 'SELECT topic_id, count(*) FROM messages GROUP BY topic_id'
            self.counts = dict(self._base.execute(query))
