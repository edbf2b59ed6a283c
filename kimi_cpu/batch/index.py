"""Which results exist and which lines have been read, for any number of them, in flat memory."""

import sqlite3
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

CACHE_KIB = 4 << 10
FINISHED, READ = 1, 2  # bits of a key's state


class Entry(NamedTuple):
    """What is known of a key when a line with it comes. digest: of the request that the result answers, if it says so;
    again: a line with this key came before."""

    finished: bool
    digest: bytes | None
    again: bool


class Index:
    """A set of keys in a temporary file that is gone with the process: 53 bytes of disk a key, 4 MiB of memory."""

    def __init__(self):
        self._db = sqlite3.connect(temporary_place(), isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._db.execute("CREATE TABLE keys (key BLOB PRIMARY KEY, state INTEGER, digest BLOB) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def add_finished(self, results: Iterable[tuple[bytes, bytes | None]]) -> None:
        """These have results: (key, digest of the request)."""
        rows = ((key, FINISHED, digest) for key, digest in results)
        self._db.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", rows)

    def __contains__(self, key: bytes) -> bool:
        """Whether it has a result."""
        row = self._db.execute("SELECT state FROM keys WHERE key = ?", (key,)).fetchone()
        return row is not None and row[0] & FINISHED != 0

    def read(self, key: bytes) -> Entry:
        """A line with this key comes."""
        row = self._db.execute("SELECT state, digest FROM keys WHERE key = ?", (key,)).fetchone()
        if row is None:
            self._db.execute("INSERT INTO keys VALUES (?, ?, NULL)", (key, READ))
            return Entry(False, None, False)
        state, digest = row
        if state == FINISHED:
            self._db.execute("UPDATE keys SET state = ? WHERE key = ?", (FINISHED | READ, key))
        return Entry(bool(state & FINISHED), digest, bool(state & READ))


def temporary_place() -> str:
    """SQLite's name for a private file that is gone with the process, in $SQLITE_TMPDIR or /var/tmp; for memory where
    temporary files have no place, as in a container that can only be read."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return ":memory:"
    return ""
