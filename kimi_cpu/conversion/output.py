"""The file that a conversion writes: bytes at places, past the page cache where the system lets us.

A buffered write of a file is a copy under one lock, and on a machine whose memory is full of other pages it is slower
than the disk. O_DIRECT writes of whole pages take neither; what does not fill pages, and every file on a file system
that has no such writes, goes through the cache.
"""

import contextlib
import errno
import mmap
import os
from pathlib import Path

import numpy as np

from ..files import lock, open_output, reserve

PAGE = 4096  # addresses, places and sizes that every disk takes
LEAST_DIRECT = 1 << 19  # smaller writes are gathered by the cache better than by the disk
STAGING_BYTES = 4 << 20  # copied at a time where the bytes do not begin at a page


class OutputFile:
    """An open file, for several threads of one conversion: another one that opens it gets a ConfigError."""

    def __init__(self, path: Path):
        self.path, self.has_lost = path, False
        self._direct, self._buffered = -1, open_output(path)
        try:
            lock(self._buffered, path)
        except BaseException:
            self.close()
            raise
        with contextlib.suppress(OSError, AttributeError):  # tmpfs, other systems
            self._direct = os.open(path, os.O_RDWR | os.O_DIRECT)

    def resize(self, size: int, keep: bool) -> None:
        """Makes it so large, and takes the space. keep: what is in it stays; else all of it is zeros."""
        if not keep:
            os.ftruncate(self._buffered, 0)
        reserve(self._buffered, size)
        os.ftruncate(self._buffered, size)

    def write(self, offset: int, data: np.ndarray) -> None:
        """All of data u8[n], contiguous, at an offset."""
        view, whole = memoryview(data).cast("B"), data.nbytes // PAGE * PAGE
        if self._direct >= 0 and offset % PAGE == 0 and whole >= LEAST_DIRECT:
            done = self._write_direct(offset, data[:whole])
            view, offset = view[done:], offset + done
        while len(view):
            written = os.pwrite(self._buffered, view, offset)
            view, offset = view[written:], offset + written

    def read(self, offset: int, nbytes: int) -> bytes:
        return os.pread(self._buffered, nbytes, offset)

    def sync(self) -> None:
        """What was written is on the disk, and no longer in the system's cache. OSError: it may be lost, as `has_lost`
        says from then on; the system tells of it once only."""
        try:
            os.fdatasync(self._buffered)
        except OSError:
            self.has_lost = True
            raise
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._buffered, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        for descriptor in (self._direct, self._buffered):
            if descriptor >= 0:
                os.close(descriptor)
        self._direct = self._buffered = -1

    def __enter__(self) -> "OutputFile":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _write_direct(self, offset: int, data: np.ndarray) -> int:
        """Bytes of whole pages that were written: all, or fewer if the system refuses."""
        step, staging = (data.nbytes, None) if data.ctypes.data % PAGE == 0 else (STAGING_BYTES, _staging())
        for begin in range(0, data.nbytes, step):
            piece = data[begin : begin + step]
            if staging is not None:
                staging[: piece.nbytes] = piece
                piece = staging[: piece.nbytes]
            view, at = memoryview(piece), offset + begin
            while len(view):
                try:
                    written = os.pwrite(self._direct, view, at)
                except OSError as e:
                    if e.errno != errno.EINVAL:
                        raise
                    written = 0  # pages of another size, or no such writes after all
                if written == 0 or written % PAGE:
                    return at - offset + written // PAGE * PAGE
                view, at = view[written:], at + written
        return data.nbytes


def _staging() -> np.ndarray:
    """Bytes that begin at a page."""
    return np.frombuffer(mmap.mmap(-1, STAGING_BYTES), np.uint8)
