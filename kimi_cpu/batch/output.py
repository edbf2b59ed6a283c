"""The output file and the journal beside it: whole results only, whatever happens, and none counts before it is on the
disk."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np

from ..errors import ConfigError, KimiError, OutOfDisk
from ..files import open_output
from .results import Digests, digests_of_result, is_success, key_of_result, lines_of, may_be_torn, temporary_place

WRITE_BYTES = 1 << 20  # of results that are handed to the system at once; the disk is waited for in sync
SCHEMA = """
CREATE TABLE IF NOT EXISTS run (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS tokens
    (key BLOB, start INTEGER, ids BLOB, digest BLOB, PRIMARY KEY (key, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (key BLOB PRIMARY KEY, position INTEGER, line BLOB);
CREATE INDEX IF NOT EXISTS held_by_position ON held (position);
"""


class Found(NamedTuple):
    """A result of a run before. digests: what it answers, if it says so."""

    key: bytes
    is_answer: bool
    digests: Digests | None


class Results(Protocol):
    """Takes lines. size: their bytes so far."""

    size: int

    def put(self, line: bytes) -> None: ...

    def sync(self) -> None: ...


class ResultStream:
    """A stream of results. Lines are safe when its reader has taken them."""

    def __init__(self, stream: BinaryIO):
        self._stream, self.size = stream, 0

    def put(self, line: bytes) -> None:
        """Appends a line. OSError."""
        self._stream.write(line)
        self.size += len(line)

    def sync(self) -> None:
        """The reader has all lines. OSError."""
        self._stream.flush()

    def close(self) -> None:
        """The stream stays open: it is somebody else's."""


class ResultFile:
    """Lines are appended; `recover` or `clear` comes first."""

    def __init__(self, path: Path):
        self.path, self.size = path, 0  # size: of the whole lines that the system has taken
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._file = os.fdopen(open_output(path, private=True, flags=os.O_APPEND), "r+b", buffering=0)

    def recover(self, synced_bytes: int | None) -> Iterator[Found]:
        """Every result; what a crash left of the last one is cut off.

        synced_bytes: known to be whole; None: no run was interrupted here. ConfigError: not such a file.
        """
        with self.path.open("rb") as file:
            for line in lines_of(file):
                key = key_of_result(line)
                if synced_bytes is not None and self.size >= synced_bytes and not _is_json(line):
                    key = None  # a machine that lost power may have left anything here
                if key is None:
                    break
                yield Found(key, is_success(line), digests_of_result(line))
                self.size += len(line)
            else:
                line = b""
        torn = not line.endswith(b"\n") and may_be_torn(line)
        if line and not torn and (synced_bytes is None or self.size < synced_bytes):
            raise ConfigError(
                f"{self.path} holds a line that is no result of kimi-cpu batch, at byte {self.size}. "
                "Choose another output."
            )
        self._truncate()

    def clear(self) -> None:
        """Forgets all results."""
        self._truncate()
        self.sync()

    def put(self, line: bytes) -> None:
        """Appends a line, which is safe after sync(). OutOfDisk."""
        self._buffer.append(line)
        self._buffered += len(line)
        if self._buffered >= WRITE_BYTES:
            self._write()

    def sync(self) -> None:
        """Brings all lines to the disk. OutOfDisk."""
        self._write()
        try:
            os.fsync(self._file.fileno())
        except OSError as e:
            self._fail(e)

    def close(self) -> None:
        """Forgets what was not synced."""
        self._file.close()

    def _write(self) -> None:
        data = memoryview(b"".join(self._buffer))
        self._buffer, self._buffered = [], 0
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as e:
            self._truncate()
            self._fail(e)
        self.size += len(data)

    def _truncate(self) -> None:
        """Back to whole lines."""
        self._file.truncate(self.size)

    def _fail(self, error: OSError) -> None:
        raise OutOfDisk(
            f"{self.path} cannot grow: {error.strerror}. What is in it is safe; make room and run the same command "
            "again, it continues."
        ) from error


def is_result_file(path: Path) -> bool:
    """Whether a file begins as one with results does. OSError."""
    with path.open("rb") as file:
        return may_be_torn(next(lines_of(file), b""))


class Journal:
    """All that a run remembers beside its results: how it was begun, tokens of unfinished answers, results that wait.

    An SQLite file beside the output, there while the run is unfinished; its lock keeps a second run away. Use it from
    one thread. What was written counts after commit().
    """

    def __init__(self, path: Path | None, identity: dict[str, str | int], fresh: bool):
        """path: None is a temporary file. identity: what must be equal for a run to be continued. fresh: forget the run
        before. ConfigError: it is not equal, another process is at it, or the file cannot be read."""
        self.path = path
        with self._translated():
            self._db = sqlite3.connect(path or temporary_place(), timeout=0, isolation_level=None)
            try:
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # also spares the shared memory that NFS lacks
                self._db.executescript(f"BEGIN EXCLUSIVE; {SCHEMA} COMMIT; BEGIN;")
                if fresh:
                    for table in ("run", "tokens", "held"):
                        self._db.execute(f"DELETE FROM {table}")
                self.is_old = self._brought_up_to_date()  # it did not say which requests its tokens answer
                self._recognise(identity)
            except BaseException:
                self._db.close()
                raise

    @property
    def synced_bytes(self) -> int | None:
        """The bytes of the output that are on the disk for sure; None: the run had not begun."""
        with self._translated():
            row = self._db.execute("SELECT value FROM run WHERE name = 'synced_bytes'").fetchone()
            return int(row[0]) if row else None

    @property
    def is_empty(self) -> bool:
        """Whether no answers and results are in it."""
        query = "SELECT EXISTS (SELECT 1 FROM tokens) OR EXISTS (SELECT 1 FROM held)"
        with self._translated():
            return not self._db.execute(query).fetchone()[0]

    def close(self) -> None:
        """Forgets what was not committed."""
        self._db.close()

    @staticmethod
    def remove(path: Path | None) -> None:
        """Deletes a journal, which nobody has open."""
        if path is None:
            return
        for name in (path.name + "-journal", path.name):  # SQLite's own goes first: it belongs to this very database
            path.with_name(name).unlink(missing_ok=True)

    def commit(self, synced_bytes: int) -> None:
        """Brings everything to the disk."""
        with self._translated():
            self._db.execute("INSERT OR REPLACE INTO run VALUES ('synced_bytes', ?)", (synced_bytes,))
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")

    def add_tokens(self, key: bytes, digest: bytes, start: int, ids: Sequence[int]) -> None:
        """Keeps ids of the answer to key, a request of this digest, from its token number start on."""
        data = np.asarray(ids, np.int32).tobytes()
        with self._translated():
            self._db.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)", (key, start, data, digest))

    def tokens(self, key: bytes, digest: bytes) -> list[int]:
        """The ids that are known of the unfinished answer to key, if its request is still the same."""
        ids: list[int] = []
        with self._translated():
            rows = self._db.execute("SELECT start, ids, digest FROM tokens WHERE key = ? ORDER BY start", (key,))
            for start, data, asked in rows:
                if start != len(ids) or asked not in (digest, None):
                    break
                ids.extend(np.frombuffer(data, np.int32).tolist())
        return ids

    def forget_tokens(self, keys: Iterable[bytes]) -> None:
        """Drops the ids of answers that are finished."""
        with self._translated():
            self._db.executemany("DELETE FROM tokens WHERE key = ?", ((key,) for key in keys))

    def hold(self, key: bytes, position: int, line: bytes) -> None:
        """Keeps a result that waits for those before its position."""
        with self._translated():
            self._db.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?)", (key, position, line))

    def held(self, key: bytes) -> bytes | None:
        """The line of a result that waits."""
        with self._translated():
            row = self._db.execute("SELECT line FROM held WHERE key = ?", (key,)).fetchone()
        return row and row[0]

    def held_keys(self) -> Iterator[bytes]:
        """The keys of all results that wait. Their positions are those of the run before."""
        with self._translated():
            for (key,) in self._db.execute("SELECT key FROM held"):
                yield key

    def move_held(self, key: bytes, position: int) -> None:
        """Gives a waiting result its position in this run."""
        with self._translated():
            self._db.execute("UPDATE held SET position = ? WHERE key = ?", (position, key))

    def forget_positions(self) -> None:
        """Takes the positions of the run before from all waiting results."""
        with self._translated():
            self._db.execute("UPDATE held SET position = NULL")

    def held_at(self, position: int) -> tuple[bytes, bytes] | None:
        """(key, line) of the result that waits at a position."""
        with self._translated():
            return self._db.execute("SELECT key, line FROM held WHERE position = ?", (position,)).fetchone()

    def forget_held(self, keys: Iterable[bytes]) -> None:
        """Drops results that are in the output."""
        with self._translated():
            self._db.executemany("DELETE FROM held WHERE key = ?", ((key,) for key in keys))

    def _brought_up_to_date(self) -> bool:
        """Whether a version wrote this that did not keep digests."""
        if any(name == "digest" for _, name, *_ in self._db.execute("PRAGMA table_info(tokens)")):
            return False
        self._db.execute("ALTER TABLE tokens ADD COLUMN digest BLOB")
        return True

    def _recognise(self, identity: dict[str, str | int]) -> None:
        known = dict(self._db.execute("SELECT name, value FROM run"))
        for name, value in identity.items():
            before = known.get(name, value)
            if before != value:
                raise ConfigError(
                    f"The run in {self.path} was begun with {name} {before!r}, not {value!r}. "
                    "Continue it with the same, or start afresh with --no-resume."
                )
        self._db.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", identity.items())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns SQLite's errors into ours."""
        try:
            yield
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise ConfigError(f"Another process is at work on {self.path}.") from e
            if e.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise OutOfDisk(
                    f"{self.path} cannot be written: {e}. Make room, and run the same command again."
                ) from e
            raise KimiError(f"{self.path}: {e}.") from e
        except (sqlite3.DatabaseError, ValueError, TypeError) as e:  # another schema, or a value of another type
            raise ConfigError(
                f"{self.path} cannot be read: {e}. Delete it: results stay, unfinished answers begin again."
            ) from e


class Output:
    """Takes the loop's results and checkpoints, into the result file and the journal, one after the other in sync().

    ordered: results are written in the order of their positions, 0, 1, 2, …; those that come early wait in the journal.
    """

    def __init__(self, file: Results, journal: Journal, ordered: bool):
        self._file, self._journal, self._ordered = file, journal, ordered
        self._next = 0  # position whose turn it is, when ordered
        self._finished: list[bytes] = []  # keys since the last sync
        self._released: list[bytes] = []  # of these, those that waited in the journal

    def put(self, position: int, key: bytes, line: bytes) -> None:
        """A result; it is safe after sync(). OutOfDisk."""
        self._finished.append(key)
        if self._ordered and position != self._next:
            self._journal.hold(key, position, line)
            return
        self._file.put(line)
        self._next += 1
        self._release()

    def place(self, position: int, key: bytes) -> None:
        """Gives a result that waits in the journal from the run before its position."""
        self._journal.move_held(key, position)
        if position == self._next:
            self._release()

    def checkpoint(self, key: bytes, digest: bytes, start: int, ids: list[int]) -> None:
        """More ids of an unfinished answer, from its token number start on; they are safe after sync()."""
        self._journal.add_tokens(key, digest, start, ids)

    def sync(self) -> None:
        """Everything so far is safe when this returns. The journal forgets what is on the disk, in this order."""
        self._file.sync()
        self._journal.forget_tokens(self._finished)
        self._journal.forget_held(self._released)
        self._finished, self._released = [], []
        self._journal.commit(self._file.size)

    def _release(self) -> None:
        while self._ordered and (waiting := self._journal.held_at(self._next)) is not None:
            key, line = waiting
            self._file.put(line)
            self._released.append(key)
            self._journal.move_held(key, -1)  # written; it stays until the file is synced
            self._next += 1


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
