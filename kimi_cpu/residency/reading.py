"""Reads of a model file into memory, past the page cache where its file system lets them, by a few threads.

os.preadv leaves Python while it waits. io_uring gains nothing at reads of this size, and containers often lack it.
"""

import os
import queue
import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import ModelFileError
from ..modelfile.header import unmapped
from .memory import anonymous

SECTOR = 4096  # bytes; offsets, lengths and addresses of direct reads are multiples of it, as is the file's alignment
PIECE = 4 << 20  # bytes of a read that one thread takes
NUM_READERS = 4


class Source(Protocol):
    """A file that threads read."""

    def read(self, offset: int, room: np.ndarray) -> None:
        """Fills room u8[n] with the bytes from `offset` on."""
        ...

    def close(self) -> None: ...


class WeightsReader:
    """An open model file. is_direct: whether its reads go past the page cache. Usable from several threads."""

    def __init__(self, path: Path):
        """ModelFileError: the file cannot be opened."""
        self._path = path
        try:
            direct = self._direct()
            self.is_direct = direct is not None
            self._file = os.open(path, os.O_RDONLY) if direct is None else direct
        except OSError as e:
            raise unmapped(path, e) from e

    def read(self, offset: int, room: np.ndarray) -> None:
        """Fills room u8[n] with the file's bytes from `offset` on.

        offset, n and the address of room: multiples of SECTOR. ModelFileError: the disk fails, or the file ends before.
        """
        done = 0
        while done < len(room):
            try:
                count = os.preadv(self._file, [room[done:]], offset + done)
            except OSError as e:
                raise ModelFileError(
                    f"{self._path}: {len(room):,} bytes from byte {offset:,} on cannot be read ({e.strerror}). Look "
                    "after the disk; if it is sound, copy the file again, and check it with `kimi-cpu verify`."
                ) from e
            done += count
            if not count or (self.is_direct and count % SECTOR):
                raise ModelFileError(
                    f"{self._path} ends at byte {offset + done:,}, before what is to be read: it was cut short while "
                    "it was in use. Copy it again, and start again."
                )
        if not self.is_direct and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, offset, len(room), os.POSIX_FADV_DONTNEED)  # it would be there twice

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _direct(self) -> int | None:
        """A descriptor whose reads go past the page cache; None where the file system refuses the first of them."""
        if not hasattr(os, "O_DIRECT"):
            return None
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_DIRECT)
        except OSError:
            return None
        try:
            os.preadv(file, [anonymous(SECTOR)], 0)
        except OSError:
            os.close(file)
            return None
        return file


class Done(NamedTuple):
    """A read that has ended, or the first bytes of one that goes on. error: why it failed."""

    key: int
    is_whole: bool
    error: BaseException | None


class _Read:
    """One read in pieces: those of its first bytes, and those of the rest."""

    def __init__(self, key: int, offset: int, room: np.ndarray, first: int):
        self.key, self._offset, self._room, self._first = key, offset, room, first
        self.num_taken = 0  # bytes
        self._num_first_left = -(-first // PIECE)  # pieces
        self.num_pieces = self._num_left = self._num_first_left - (first - len(room)) // PIECE
        self._error: BaseException | None = None

    @property
    def is_taken(self) -> bool:
        """Whether threads have taken all of it."""
        return self.num_taken == len(self._room)

    def take(self) -> tuple[int, np.ndarray]:
        """The next piece: where it begins in the file, and room for it."""
        begin = self.num_taken
        self.num_taken = min(begin + PIECE, self._first if begin < self._first else len(self._room))
        return self._offset + begin, self._room[begin : self.num_taken]

    def end(self, offset: int, error: BaseException | None) -> Done | None:
        """The piece at this offset was read, or could not be; returns what is there now that was not before."""
        self._error = self._error or error
        self._num_left -= 1
        if not self._num_left:
            return Done(self.key, True, self._error)
        if offset - self._offset < self._first:
            self._num_first_left -= 1
            if not self._num_first_left and self._error is None:
                return Done(self.key, False, None)
        return None


class Reads:
    """Threads that read a source, which is theirs. One thread asks and waits.

    They share each read in pieces: one of an expert alone leaves most disks half idle, and of several the first is
    there, and is used, while the last is being read.
    """

    def __init__(self, source: Source, num_threads: int = NUM_READERS):
        self._source, self._is_closing = source, False
        self._asked: deque[_Read] = deque()  # those that threads have not taken all of
        self._changed = threading.Condition()  # guards the reads
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._num_running = num_threads
        for n in range(num_threads):
            threading.Thread(target=self._run, name=f"kimi-cpu reader {n}", daemon=True).start()

    def ask(self, key: int, offset: int, room: np.ndarray, first: int = 0) -> None:
        """Queues a read; what has its key comes out of `wait`, unless it is withdrawn before: once for the first bytes,
        if there are any, when they are there before the others, and once for all."""
        read = _Read(key, offset, room, first)
        with self._changed:
            self._asked.append(read)
            self._changed.notify(read.num_pieces)

    def wait(self, timeout_s: float) -> list[Done]:
        """What is there; waits for anything at most so long."""
        done: list[Done] = []
        try:
            done.append(self._done.get(timeout=timeout_s) if timeout_s else self._done.get_nowait())
            while True:
                done.append(self._done.get_nowait())
        except queue.Empty:
            return done

    def withdraw(self) -> list[int]:
        """The keys of the reads that no thread has begun, which will not be."""
        with self._changed:
            keys = [read.key for read in self._asked if not read.num_taken]
            self._asked = deque(read for read in self._asked if read.num_taken)
        return keys

    def close(self) -> None:
        """Ends the threads, each when what it has begun is read, for which nobody waits; the last one closes the
        source."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            read, offset, room = taken
            error: BaseException | None = None
            try:
                self._source.read(offset, room)
            except BaseException as e:  # whatever it was, somebody waits for it
                error = e
            with self._changed:
                done = read.end(offset, error)
                if done is not None:
                    self._done.put(done)
            del taken, read, room  # which would keep the memory that is read to
        with self._changed:
            self._num_running -= 1
            if not self._num_running:
                self._source.close()

    def _take(self) -> tuple[_Read, int, np.ndarray] | None:
        """The next piece, when there is one; None when the threads are to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._asked or self._is_closing)
            if self._is_closing:
                return None
            read = self._asked[0]
            offset, room = read.take()
            if read.is_taken:
                self._asked.popleft()
            return read, offset, room
