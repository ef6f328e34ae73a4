"""Read one SQLite3 storage file of a rosbag2, whole or damaged."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from semantic_fast_sam_ros.bags.types import Loss, Message, Topic

# So many unreadable rows in a row are the end of a file that was cut off.
GIVE_UP_ROWS = 2000
HEADER_BYTES = 100
Row = tuple[int, int, int, bytes]  # id, topic id, time, data


class SqliteReader:
    """One file. `losses` grows while it is opened and read."""

    def __init__(self, path: Path) -> None:
        """Open a file and find its topics."""
        self.losses: list[Loss] = []
        self.topics: dict[int, Topic] = {}
        self.counts: dict[int, int] = {}
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._name = path.name
        self._copy = _padded(path)
        path = Path(self._copy.name) if self._copy is not None else path
        # A recorder that was killed leaves its last messages in a write-ahead log beside the file.
        log = path.with_name(path.name + '-wal')
        mode = 'mode=ro' if log.exists() and log.stat().st_size else 'immutable=1'
        self._base = sqlite3.connect(
            f'{path.resolve().as_uri()}?{mode}', uri=True, check_same_thread=False
        )
        self._base.text_factory = lambda raw: raw.decode(errors='replace')
        try:
            self._read_topics()
        except sqlite3.Error as error:
            self.losses.append(Loss(self._name, f'topics cannot be read: {error}'))
            return
        self._read_extent()

    def close(self) -> None:
        """Close the file."""
        self._base.close()
        if self._copy is not None:
            self._copy.close()

    def messages(
        self, wanted: Callable[[Topic], bool], start_ns: int, stop_ns: int
    ) -> Iterator[Message]:
        """Give the messages of the wanted topics with start <= time < stop, in order of time."""
        ids = [i for i, topic in self.topics.items() if wanted(topic)]
        if not ids:
            return
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
        self.losses.append(Loss(self._name, f'damaged: {reason}', lost or None))

    def _message(self, row: Row) -> Message:
        return Message(self.topics[row[1]], row[2], bytes(row[3]))

    def _salvage(
        self, select: str, bounds: tuple[int, ...], last: tuple[int, int]
    ) -> Iterator[Row | int]:
        """Give what can be read after `last` (time, id) as stored, and counts of lost rows."""
        later = (
            f'{select} AND (timestamp > ? OR (timestamp = ? AND id > ?)) AND id > ? ORDER BY id'
        )
        row_id, failures = 0, 0
        while failures < GIVE_UP_ROWS:
            try:
                for row in self._base.execute(later, (*bounds, last[0], *last, row_id)):
                    if failures:
                        yield failures
                    failures, row_id = 0, row[0]
                    yield row
                return
            except sqlite3.Error:
                failures += 1
                row_id += 1

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self._base.execute(f'PRAGMA table_info({table})')}

    def _read_topics(self) -> None:
        """Read what each release of rosbag2 stores: Humble has no definitions and no hashes."""
        columns = self._columns('topics')
        if not columns:
            raise sqlite3.DatabaseError('the file has no table `topics`')
        optional = [
            name if name in columns else "''"
            for name in ('offered_qos_profiles', 'type_description_hash')
        ]
        definitions = {}
        if self._columns('message_definitions'):
            query = (
                'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
            )
            definitions = {kind: (code, body) for kind, code, body in self._base.execute(query)}
        query = f'SELECT id, name, type, {", ".join(optional)} FROM topics ORDER BY id'
        for key, name, kind, qos, digest in self._base.execute(query):
            code, body = definitions.get(kind, ('ros2msg', ''))
            self.topics[key] = Topic(name, kind, body, code, digest, qos)

    def _read_extent(self) -> None:
        try:
            query = 'SELECT min(timestamp), max(timestamp) FROM messages'
            self.first_ns, self.last_ns = self._base.execute(query).fetchone()
            query = 'SELECT topic_id, count(*) FROM messages GROUP BY topic_id'
            self.counts = dict(self._base.execute(query))
        except sqlite3.Error:  # reported when the messages are read
            pass


def _padded(path: Path) -> 'tempfile._TemporaryFileWrapper[bytes] | None':
    """Return a copy of a cut-off file in the length that it should have; None for a whole one.

    SQLite reads nothing of a file that is shorter than its header says.
    """
    with path.open('rb') as file:
        head = file.read(HEADER_BYTES)
        page = int.from_bytes(head[16:18], 'big')
        page = 65536 if page == 1 else page
        expected = page * int.from_bytes(head[28:32], 'big')
        if not head.startswith(b'SQLite format 3') or path.stat().st_size >= expected:
            return None
        copy = tempfile.NamedTemporaryFile(prefix='bag_', suffix='.db3')  # noqa: SIM115
        file.seek(0)
        shutil.copyfileobj(file, copy, 1 << 20)
        copy.truncate(expected)
        copy.flush()
    return copy
