"""A mapped file that fits: its pages come to memory when it is opened, as fast as the disk gives them.

Left alone they come one by one with the tokens that need them, for minutes, from a disk that has nothing to do between.
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from .dense import Progress

POPULATE_READ = 22  # madvise(2): MADV_POPULATE_READ, Linux 5.14; in huge pages where the map asks for them
PIECE = 64 << 20  # bytes, from a page on
NUM_THREADS = 4


def preload(data: np.ndarray, progress: Progress | None = None) -> None:
    """Brings mapped bytes u8[n] to memory, and leaves what cannot be brought to those who read it.

    progress: told as they come; what it raises ends the reading.
    """
    try:
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):  # Windows
        return
    madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    pieces = range(0, len(data), PIECE)
    with ThreadPoolExecutor(NUM_THREADS, "kimi-cpu preload") as pool:
        try:
            for begin, _ in zip(pieces, pool.map(partial(_populate, madvise, data), pieces), strict=True):
                if progress is not None:
                    progress(min(begin + PIECE, len(data)), len(data))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _populate(madvise: Callable[[int, int, int], int], data: np.ndarray, begin: int) -> None:
    """One piece; the function leaves Python meanwhile."""
    madvise(data.ctypes.data + begin, min(PIECE, len(data) - begin), POPULATE_READ)
