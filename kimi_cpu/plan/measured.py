"""What this machine can do, measured by the kernels that will do it."""

import time

import numpy as np

from ..kernels import linear, make_activation, memory_reader, runtime
from ..machine import MemoryBandwidth
from ..quant.rows16 import Matrix, packed_bytes

TOKENS, ROWS, COLS = 512, 2048, 7168  # of a prompt's step, and of K2's experts
TURNS = 8
FILL = 0x3C  # a byte that makes scales and weights numbers of ordinary size


def memory_bandwidth() -> MemoryBandwidth:
    """The bandwidth of this machine's memory: read by the kernels' threads, kept beside their compiled code."""
    return MemoryBandwidth(runtime.cache_folder(), memory_reader.fastest_pass)


def matrix_rate() -> float:
    """10^9 multiply-adds a second of a q8 matrix and a prompt's tokens, with the default number of threads."""
    runtime.configure()
    matrix = Matrix("q8", ROWS, COLS, np.full(packed_bytes("q8", ROWS, COLS), FILL, np.uint8))
    tokens, out = make_activation(TOKENS, COLS, int8=True), np.zeros((TOKENS, ROWS), np.float32)
    seconds = []
    for _ in range(TURNS):
        begin_s = time.perf_counter()
        linear((matrix,), tokens, (out,))
        seconds.append(time.perf_counter() - begin_s)
    return TOKENS * ROWS * COLS / min(seconds) / 1e9
