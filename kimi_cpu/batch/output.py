"""The output file: whole lines only, whatever happens, and none of them counts before it is on the disk."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from ..errors import ConfigError, OutOfDisk
from ..files import open_output
from .journal import Journal
from .results import Digests, digests_of_result, is_success, key_of_result, lines_of, may_be_torn

WRITE_BYTES = 1 << 20  # of results that are handed to the system at once; the disk is waited for in sync


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
    """Lines go to whoever reads a stream, and are safe when it has taken them."""

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


class Output:
    """Where the loop's results and checkpoints go: the result file and the journal, one after the other in sync().

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
        """A result that waits in the journal from the run before has this position."""
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
