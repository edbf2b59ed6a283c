"""Reads of a model file into memory, past the page cache where its file system lets them, by a few threads.

Two to four reads of an expert's size keep a disk busy; os.preadv leaves Python while it waits.
"""

import os
import queue
import threading
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import ModelFileError
from ..modelfile.header import unmapped
from .memory import anonymous

SECTOR = 4096  # bytes; offsets, lengths and addresses of direct reads are multiples of it, as is the file's alignment
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
    """A read that has ended. error: why it failed."""

    key: int
    error: BaseException | None


class Reads:
    """Threads that read a source, which is theirs. One thread asks and waits."""

    def __init__(self, source: Source, num_threads: int = NUM_READERS):
        self._source = source
        self._asked: queue.SimpleQueue[tuple[int, int, np.ndarray] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"kimi-cpu reader {n}", daemon=True) for n in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, key: int, offset: int, room: np.ndarray) -> None:
        """Queues a read; what has its key comes out of `wait`, unless it is withdrawn before."""
        self._asked.put((key, offset, room))

    def wait(self, timeout_s: float) -> list[Done]:
        """The reads that have ended; waits for one at most so long."""
        done: list[Done] = []
        try:
            done.append(self._done.get(timeout=timeout_s) if timeout_s else self._done.get_nowait())
            while True:
                done.append(self._done.get_nowait())
        except queue.Empty:
            return done

    def withdraw(self) -> list[int]:
        """The keys of the reads that no thread has begun, which will not be."""
        keys: list[int] = []
        try:
            while (asked := self._asked.get_nowait()) is not None:
                keys.append(asked[0])
        except queue.Empty:
            pass
        return keys

    def close(self) -> None:
        """Ends the threads, when what they have begun is read, and closes the source."""
        self.withdraw()
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join()
        self._source.close()

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            key, offset, room = asked
            try:
                self._source.read(offset, room)
            except BaseException as e:  # whatever it was, somebody waits for it
                self._done.put(Done(key, e))
            else:
                self._done.put(Done(key, None))
            del asked, room
