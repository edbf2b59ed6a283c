"""A file of a checkpoint, mapped read-only; what is read of it can be asked for ahead, and given back behind."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, OutOfMemory
from ..files import open_regular
from ..modelfile.header import unmapped

AHEAD_BYTES = 1 << 20  # asked for at a time: Linux reads no more than a read-ahead window for one call

LARGE_PAGE = 4 << 20  # bytes


class MappedFile:
    """An open file, for several threads."""

    def __init__(self, path: Path):
        """CheckpointError: it cannot be mapped; OutOfMemory: this process may not map so much."""
        try:
            with open_regular(path) as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._descriptor = os.dup(file.fileno())
        except ValueError as error:
            raise CheckpointError(f"{path}: is empty; download it again.") from error
        except OSError as error:
            reason = unmapped(path, error)
            raise reason if isinstance(reason, OutOfMemory) else CheckpointError(str(reason)) from error

    def view(self, offset: int, nbytes: int) -> np.ndarray:
        """Read-only bytes u8[nbytes], nothing copied."""
        return np.frombuffer(self._map, np.uint8, nbytes, offset)

    def ask(self, begin: int, end: int) -> None:
        """The system reads bytes [begin, end) soon; returns at once."""
        for at in range(begin - begin % mmap.PAGESIZE, end, AHEAD_BYTES):
            self._map.madvise(mmap.MADV_WILLNEED, at, min(AHEAD_BYTES, end - at))

    def unmap_pages(self) -> None:
        """No page is this process's any more; views stay good, and what is read again is mapped again.

        Of the whole file, as a fault maps the pages around it as well.
        """
        self._map.madvise(mmap.MADV_DONTNEED)

    def forget(self, begin: int, end: int) -> None:
        """The system may drop bytes [begin, end) from its cache, where nobody has them mapped."""
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._descriptor, begin, end - begin, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Lets go of the file; the map goes with its last view."""
        os.close(self._descriptor)
        self._map = None


def joined(places: list[tuple[Path, int, int]]) -> Iterator[tuple[Path, int, int]]:
    """Sorted pieces of files as fewer, larger ones: Linux keeps whatever shares a page of up to 4 MiB with others."""
    file, begin, end = None, 0, 0
    for next_file, next_begin, next_end in places:
        if next_file != file or next_begin - end > LARGE_PAGE:
            if file is not None:
                yield file, begin, end
            file, begin = next_file, next_begin - next_begin % LARGE_PAGE
            end = begin
        end = max(end, next_end)
    if file is not None:
        yield file, begin, end
