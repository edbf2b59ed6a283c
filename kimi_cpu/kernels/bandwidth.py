"""How fast this machine's memory can be read: the bound of decoding, measured and kept beside the kernels.

Another program can only make it look slower: the best of some passes counts, it is kept when that pass had the CPUs for
itself, and it is measured again when a run was faster.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from numba import prange, types

from ..machine import usable_memory
from . import runtime
from .codegen import jit
from .codegen.jit import address, call, take
from .codegen.native import Library, Micro
from .micro.simd import I32, Emitter, Variable, Vec

MEASURED = "bandwidth.json"
READER_BYTES = 1 << 28  # far more than any cache
READER_TASK = 1 << 17
LEAST_MEMORY = 8 * READER_BYTES  # of a process, or measuring would be a burden
PASSES = 9
QUIET = 0.9  # share of the CPUs that a pass has when nothing else runs


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


def measure(beaten_by: float = 0.0) -> float | None:
    """GB/s that the default number of threads read, the best of some passes; `measured` says it from then on. None for
    a process that may use too little memory to know.

    beaten_by: GB/s of the run for whose sake it is measured again, not to be done twice for runs that read from caches.
    In a Python thread of its own, with which its OpenMP threads end: as long as there are more of them than CPUs, all
    of them sleep at once where they wait, and an engine in the same process would be 15 % slower.
    """
    if usable_memory() < LEAST_MEMORY:
        return None
    with ThreadPoolExecutor(1) as pool:
        threads, rate, quiet = pool.submit(_measure).result()
    record = {"threads": threads, "GB/s": round(rate, 2), "beaten_by": beaten_by}
    if quiet and jit.CACHE.folder is not None:
        with suppress(OSError):  # it is only for people
            (jit.CACHE.folder / MEASURED).write_text(json.dumps(record))
    return rate


def _measure() -> tuple[int, float, bool]:
    """(threads, GB/s, whether they had the CPUs for themselves)."""
    threads, reader, passes = runtime.configure(), Reader(), []
    for _ in range(PASSES):
        wall, cpu = time.perf_counter(), time.process_time()
        rate = reader.bandwidth(threads)
        passes.append((rate, (time.process_time() - cpu) / (time.perf_counter() - wall) / threads))
    rate, share = max(passes)
    return threads, rate, share >= QUIET


def measured() -> float | None:
    """GB/s that `measure` found on this machine with this program; None when it was not called, or cannot be read."""
    return _record()[0]


def to_compare_with(read: float) -> float | None:
    """GB/s of the memory beside a run that read so many; measured again when it was faster than what is known.

    None when nothing is known, or the run was faster still: it read from the caches.
    """
    rate, beaten_by = _record()
    if jit.CACHE.folder is not None and (rate is None or read > max(rate, beaten_by)):
        measure(beaten_by=read)
        rate, _ = _record()
    return None if rate is None or read > rate else rate


def _record() -> tuple[float | None, float]:
    """(GB/s, GB/s of the run that made it be measured again)."""
    try:
        record = json.loads((jit.CACHE.folder / MEASURED).read_text())
        return float(record["GB/s"]), float(record["beaten_by"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, 0.0


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
