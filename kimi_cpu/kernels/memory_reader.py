"""Reads memory as the kernels do, and nothing else: what decoding is measured by."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import prange, types

from ..machine import Pass
from . import runtime
from .codegen import jit
from .codegen.jit import address, call, take
from .codegen.native import Library, Micro
from .codegen.simd import I32, Emitter, Variable, Vec

READER_BYTES = 1 << 28  # far more than any cache
READER_TASK = 1 << 17
PASSES = 9


class Reader:
    """Reads memory and nothing else, with the same threads and the same way of sharing work as the kernels."""

    def __init__(self):
        self.memory = np.ones(READER_BYTES, np.uint8)
        tier = runtime.isa()
        self.code = Library(tier, [Micro("read", "iii", _read)], ["read"], jit.CACHE.entry(f"reader-{tier.name}.o"))

    def bandwidth(self, threads: int) -> float:
        """GB/s of one pass over the memory."""
        sums = np.zeros(64, np.uint8)
        begin = time.perf_counter()
        _read_all(self.code.addresses, self.memory, sums, threads)
        return READER_BYTES / (time.perf_counter() - begin) / 1e9

    def evict(self) -> None:
        """Puts the memory into the caches, and so everything else out of them."""
        self.memory[:] = 1


def fastest_pass() -> Pass:
    """The best of some passes over the memory, with the default number of threads.

    In a Python thread of its own, with which its OpenMP threads end: as long as there are more of them than CPUs, all
    of them sleep at once where they wait, and an engine in the same process would be 15 % slower.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_fastest_pass).result()


def _fastest_pass() -> Pass:
    threads, reader, passes = runtime.configure(), Reader(), []
    for _ in range(PASSES):
        wall, cpu = time.perf_counter(), time.process_time()
        rate = reader.bandwidth(threads)
        share = (time.process_time() - cpu) / (time.perf_counter() - wall) / threads
        passes.append(Pass(threads, rate, share))
    return max(passes)


def _read(e: Emitter, source: Vec, count: Vec, target: Vec) -> None:
    """target = all of count bytes, or-ed."""
    kind, step = e.lanes_of(I32), 4 * e.isa.lanes
    sums = [Variable(e, e.i32s(0)) for _ in range(4)]
    with e.loop(count, step=4 * step) as i:
        for j, total in enumerate(sums):
            total.set(total.get() | e.load(source + i + j * step, kind))
    e.store(target, sums[0].get() | sums[1].get() | sums[2].get() | sums[3].get())


@jit.kernel(types.void(types.int64[::1], types.uint8[::1], types.uint8[::1], types.int64))
def _read_all(micro, memory, sums, workers):
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        own = np.empty(64, np.uint8)
        while True:
            at = take(counter) * READER_TASK
            if at >= len(memory):
                break
            call(micro[0], (address(memory) + at, READER_TASK, address(own)))
