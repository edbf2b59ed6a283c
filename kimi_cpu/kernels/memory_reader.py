"""Reads memory as the kernels do, and nothing else: what decoding is measured by."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

import numpy as np
from numba import prange, types

from ..machine import Pass
from . import runtime
from .codegen import jit
from .codegen.jit import address, call, take
from .codegen.native import Library, Micro
from .codegen.simd import I32, Emitter, Variable, Vec

READER_BYTES = 1 << 28  # far more than any cache
PASSES = 9
TRIES = 3  # of each way
LINE = 64
UNROLLED = 256  # bytes that a turn of the loop reads


class Way(NamedTuple):
    """One way to read. micro: the loop's name; ahead: bytes at which lines are asked for early; task: bytes that a
    thread takes at a time."""

    micro: str
    ahead: int
    task: int


class Reader:
    """Reads memory and nothing else, with the threads of the kernels, in the way that is fastest on this machine."""

    def __init__(self):
        self.memory = np.ones(READER_BYTES, np.uint8)
        tier = runtime.isa()
        loops = {
            f"read_{lanes}{'_early' if early else ''}": _loop(lanes, early)
            for lanes in dict.fromkeys((tier.lanes, min(tier.lanes, 8)))
            for early in (False, True)
        }
        self._names = list(loops)
        micros = [Micro(name, "iiii", body) for name, body in loops.items()]
        self._code = Library(tier, micros, self._names, jit.CACHE.entry(f"reader-{tier.name}.o"))
        self._fastest: dict[int, Way] = {}  # by number of threads

    def ways(self) -> list[Way]:
        """All that are tried."""
        loops = [
            (name, ahead)
            for name in self._names
            for ahead in ((1024, 2048, 4096, 8192) if name.endswith("_early") else (0,))
        ]
        return [Way(name, ahead, task) for name, ahead in loops for task in (1 << 17, 1 << 22)]

    def bandwidth(self, threads: int) -> float:
        """GB/s of one pass over the memory in the fastest way; the first call for so many threads finds it."""
        if threads not in self._fastest:
            rates: dict[Way, list[float]] = {way: [] for way in self.ways()}
            for _ in range(TRIES):
                for way, measured in rates.items():
                    measured.append(self.read(way, threads))
            self._fastest[threads] = max(rates, key=lambda way: median(rates[way]))
        return self.read(self._fastest[threads], threads)

    def read(self, way: Way, threads: int) -> float:
        """GB/s of one pass over the memory."""
        sums, index = np.zeros(LINE, np.uint8), self._names.index(way.micro)
        begin = time.perf_counter()
        _read_all(self._code.addresses, index, self.memory, sums, way.ahead, way.task, threads)
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


def _loop(lanes: int, early: bool) -> Callable[..., None]:
    """A loop over `count` bytes, or-ed into target, with registers of so many lanes; early: lines are asked for."""

    def body(e: Emitter, source: Vec, count: Vec, target: Vec, ahead: Vec) -> None:
        kind, step = e.lanes_of(I32, lanes), 4 * lanes
        sums = [Variable(e, e.i32s(0, lanes)) for _ in range(UNROLLED // step)]
        with e.loop(count, step=UNROLLED) as i:
            if early:
                for line in range(0, UNROLLED, LINE):
                    e.prefetch(source + i + ahead + line)
            for j, total in enumerate(sums):
                total.set(total.get() | e.load(source + i + j * step, kind))
        total = sums[0].get()
        for other in sums[1:]:
            total = total | other.get()
        e.store(target, total)

    return body


@jit.kernel(types.void(types.int64[::1], types.int64, types.uint8[::1], types.uint8[::1], *[types.int64] * 3))
def _read_all(micro, loop, memory, sums, ahead, task, workers):
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        own = np.empty(64, np.uint8)
        while True:
            at = take(counter) * task
            if at >= len(memory):
                break
            call(micro[loop], (address(memory) + at, task, address(own), ahead))
