"""A mapped file that fits: its pages come to memory when it is opened, as fast as the disk gives them.

Left alone they come one by one with the tokens that need them, for minutes, from a disk that has nothing to do between.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from .dense import Progress

DONTNEED = 4  # madvise(2): MADV_DONTNEED
POPULATE_READ = 22  # madvise(2): MADV_POPULATE_READ, Linux 5.14; in huge pages where the map asks for them
PIECE = 64 << 20  # bytes, from a page on
NUM_THREADS = 4


def preload(data: np.ndarray, progress: Progress | None = None) -> None:
    """Brings mapped bytes u8[n] to memory, and leaves what cannot be brought to those who read it.

    progress: told as they come; what it raises ends the reading.
    """
    madvise = _madvise()
    if madvise is None:
        return
    pieces = range(0, len(data), PIECE)
    with ThreadPoolExecutor(NUM_THREADS, "kimi-cpu preload") as pool:
        try:
            for begin, _ in zip(pieces, pool.map(partial(_populate, madvise, data), pieces), strict=True):
                if progress is not None:
                    progress(min(begin + PIECE, len(data)), len(data))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def unload(data: np.ndarray, path: Path) -> None:
    """Gives the pages of mapped bytes u8[n] back, and of `path`, their file, those in the page cache that no other
    process has mapped; they are read again when they are needed."""
    madvise = _madvise()
    if madvise is None:
        return
    madvise(data.ctypes.data, len(data), DONTNEED)
    with suppress(OSError):  # it is gone: its pages will be when the map is
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def _madvise() -> Callable[[int, int, int], int] | None:
    """The system's function of an address, bytes and advice; None on Windows."""
    try:
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    return madvise


def _populate(madvise: Callable[[int, int, int], int], data: np.ndarray, begin: int) -> None:
    """One piece; the function leaves Python meanwhile."""
    madvise(data.ctypes.data + begin, min(PIECE, len(data) - begin), POPULATE_READ)
