"""The rate at which a disk gives parts of a large file that nobody has read yet."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

PIECE = 4 << 20  # bytes of a read, as large as those of experts
PIECES = 64
THREADS = 4
ALIGNMENT = 4096  # of buffers and places, for O_DIRECT
LEAST = 1 << 30  # bytes of a file, or its pieces would be neighbours


def disk_rate(path: Path) -> float | None:
    """GB/s of reads that are spread over a file, several at once, past the page cache. None: the file is too small, or
    its file system knows no such reads. OSError."""
    size = path.stat().st_size
    if size < LEAST:
        return None
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError as e:
        if e.errno == errno.EINVAL:
            return None
        raise
    stride = size // PIECES // ALIGNMENT * ALIGNMENT
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            begin_s = time.perf_counter()
            total = sum(pool.map(lambda piece: os.preadv(file, [_buffer()], piece * stride), range(PIECES)))
            return total / (time.perf_counter() - begin_s) / 1e9
    finally:
        os.close(file)


def _buffer() -> np.ndarray:
    """Room for a piece, u8, aligned."""
    raw = np.empty(PIECE + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    return raw[begin : begin + PIECE]
