"""What a run remembers beside its results: how it was begun, the tokens of unfinished answers, results that wait.

An SQLite file beside the output, there while the run is unfinished. Its lock keeps a second run away from the output.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import ConfigError, KimiError, OutOfDisk
from .index import temporary_place

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS tokens
    (key BLOB, start INTEGER, ids BLOB, digest BLOB, PRIMARY KEY (key, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (key BLOB PRIMARY KEY, position INTEGER, line BLOB);
CREATE INDEX IF NOT EXISTS held_by_position ON held (position);
"""


class Journal:
    """Use from one thread. What was written counts after commit()."""

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
        """There is nothing to remember. No journal may be open there."""
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
        """The answer to key, a request of this digest, goes on with ids at its token number start."""
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
        """These answers are finished."""
        with self._translated():
            self._db.executemany("DELETE FROM tokens WHERE key = ?", ((key,) for key in keys))

    def hold(self, key: bytes, position: int, line: bytes) -> None:
        """A result waits for those before its position."""
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
        """A waiting result has this position in this run."""
        with self._translated():
            self._db.execute("UPDATE held SET position = ? WHERE key = ?", (position, key))

    def forget_positions(self) -> None:
        """No waiting result has a position until move_held."""
        with self._translated():
            self._db.execute("UPDATE held SET position = NULL")

    def held_at(self, position: int) -> tuple[bytes, bytes] | None:
        """(key, line) of the result that waits at a position."""
        with self._translated():
            return self._db.execute("SELECT key, line FROM held WHERE position = ?", (position,)).fetchone()

    def forget_held(self, keys: Iterable[bytes]) -> None:
        """These results are in the output."""
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
        """SQLite's errors become ours."""
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
