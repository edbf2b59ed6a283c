"""Which results exist and which lines have been read, for any number of them, in flat memory."""

import sqlite3
from collections.abc import Iterable

CACHE_KIB = 4 << 10
FINISHED, READ = 1, 2  # bits of a key's state


class Index:
    """A set of keys in a temporary file that is gone with the process: 36 bytes of disk a key, 4 MiB of memory."""

    def __init__(self):
        self._db = sqlite3.connect("", isolation_level=None)  # "": a private file in $SQLITE_TMPDIR or /var/tmp
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._db.execute("CREATE TABLE keys (key BLOB PRIMARY KEY, state INTEGER) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def add_finished(self, keys: Iterable[bytes]) -> None:
        """These have results."""
        self._db.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", ((key, FINISHED) for key in keys))

    def __contains__(self, key: bytes) -> bool:
        """Whether it has a result."""
        row = self._db.execute("SELECT state FROM keys WHERE key = ?", (key,)).fetchone()
        return row is not None and row[0] & FINISHED != 0

    def read(self, key: bytes) -> tuple[bool, bool]:
        """A line with this key comes: (whether it has a result, whether a line with this key came before)."""
        row = self._db.execute("SELECT state FROM keys WHERE key = ?", (key,)).fetchone()
        if row is None:
            self._db.execute("INSERT INTO keys VALUES (?, ?)", (key, READ))
            return False, False
        state = row[0]
        if state == FINISHED:
            self._db.execute("UPDATE keys SET state = ? WHERE key = ?", (FINISHED | READ, key))
        return bool(state & FINISHED), bool(state & READ)
