"""The output file: whole lines only, whatever happens, and none of them counts before it is on the disk."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigError, OutOfDisk
from ..files import sync_directory
from .journal import Journal
from .results import is_success, key_of_result, may_be_torn

WRITE_BYTES = 1 << 20  # of results that are handed to the system at once; the disk is waited for in sync
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ResultFile:
    """Lines are appended; `recover` or `clear` comes first."""

    def __init__(self, path: Path):
        self.path, self.size = path, 0  # size: of the whole lines that the system has taken
        self._buffer: list[bytes] = []
        self._buffered = 0
        is_new = not path.exists()
        self._file = path.open("a+b", buffering=0)
        if is_new:
            sync_directory(path.parent)

    def recover(self, synced_bytes: int | None) -> Iterator[tuple[bytes, bool]]:
        """(key, whether it is an answer) of every result; what a crash left of the last one is cut off.

        synced_bytes: known to be whole; None: no run was interrupted here. ConfigError: not such a file.
        """
        with self.path.open("rb") as file:
            for line in file:
                key = key_of_result(line)
                if synced_bytes is not None and self.size >= synced_bytes and not _is_json(line):
                    key = None  # a machine that lost power may have left anything here
                if key is None:
                    break
                yield key, is_success(line)
                self.size += len(line)
            else:
                line = b""
        torn = not line.endswith(b"\n") and may_be_torn(line)
        if line and not torn and (synced_bytes is None or self.size < synced_bytes):
            raise ConfigError(
                f"{self.path} holds a line that is no result of kimi-cpu batch, at byte {self.size}. "
                "Choose another output, or replace this one with --no-resume."
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
        if error.errno not in _FULL:
            raise error
        raise OutOfDisk(
            f"{self.path} cannot grow: {error.strerror}. What is in it is safe; make room and run the same command "
            "again, it continues."
        ) from error


class Output:
    """Where the loop's results and checkpoints go: the result file and the journal, one after the other in sync().

    ordered: results are written in the order of their positions, 0, 1, 2, …; those that come early wait in the journal.
    """

    def __init__(self, file: ResultFile, journal: Journal, ordered: bool):
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
        """A result that waits in the journal from the run before has this position."""
        self._journal.move_held(key, position)
        if position == self._next:
            self._release()

    def checkpoint(self, key: bytes, start: int, ids: list[int]) -> None:
        """More ids of an unfinished answer, from its token number start on; they are safe after sync()."""
        self._journal.add_tokens(key, start, ids)

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
