"""Bounds of a machine in the seconds of a measurement: bytes a second from memory, multiply-adds a second.

A process of its own (a Worker's): a second Python thread that computes beside an engine's makes libgomp's threads, now
more than the CPUs, sleep at once where they wait, and the engine 15 % slower.
"""

import ctypes
import time
from statistics import median

import numpy as np
import workers

from kimi_cpu.kernels import runtime
from kimi_cpu.kernels.codegen.code_cache import Entry
from kimi_cpu.kernels.codegen.native import Library, Micro
from kimi_cpu.kernels.codegen.simd import F32, I8, Emitter, Variable, Vec, vector
from kimi_cpu.kernels.memory_reader import Reader
from kimi_cpu.kernels.micro.products import method_in_turn
from kimi_cpu.quant.rows16 import GROUP

STEPS = GROUP // 4  # an instruction multiplies 4 inputs of a row
GROUPS = 16  # of activations, read in turn, so that a group's products cannot be computed once for all
TURNS = 20_000
READS = 3


class Machine:
    """settings: threads."""

    def __init__(self, settings: dict):
        self.threads = runtime.configure(settings["threads"])
        self._reader, tier = Reader(), runtime.isa()
        self._code = Library(tier, [Micro("multiply", "iiii", multiply)], ["multiply"], Entry(None))
        self._call = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(int(self._code.addresses[0]))
        self._w = np.ones(STEPS * 4 * tier.lanes, np.int8)
        self._x = np.ones((GROUPS + tier.int8_tile) * GROUP, np.int8)
        self._out = np.zeros(tier.int8_tile * tier.lanes, np.float32)
        self._macs = TURNS * tier.int8_tile * tier.lanes * GROUP

    def about(self) -> dict:
        """Name of the tier."""
        return {"isa": runtime.isa().name}

    def bounds(self) -> dict:
        """reader: bytes a second, median of some passes. macs: int8 multiply-adds a second of all threads."""
        reads = [1e9 * self._reader.bandwidth(self.threads) for _ in range(READS)]
        return {"reader": median(reads), "macs": self.threads * self._macs / min(self._turns() for _ in range(READS))}

    def _turns(self) -> float:
        begin = time.perf_counter()
        self._call(TURNS, self._w.ctypes.data, self._x.ctypes.data, self._out.ctypes.data)
        return time.perf_counter() - begin


def multiply(e: Emitter, turns: Vec, w: Vec, x: Vec, out: Vec) -> None:
    """A tile of INT4 weights as far as the multipliers see it: groups of 32 products, their conversion, scale and sum.

    Weights stay in registers, activations in the first-level cache; nothing else is loaded.
    """
    method, tokens, size = method_in_turn(e.isa), range(e.isa.int8_tile), 4 * e.isa.lanes
    weights = [method.weights(e, "int4", e.load(w + size * k, vector(I8, size))) for k in range(STEPS)]
    sums = [Variable(e, e.f32s(0)) for _ in tokens]
    with e.loop(turns) as turn:
        group = x + (turn & (GROUPS - 1)) * GROUP
        for t in tokens:
            total = method.zero(e, "int4")
            for k in range(STEPS):
                total = method.step(e, "int4", total, weights[k], group + (GROUP * t + 4 * k), x)
            dot = method.finish(e, "int4", total, x).to(F32)
            factor = e.f32s(0.5) * e.load_splat(group + GROUP * t, F32)
            sums[t].set(e.fma(dot, factor, sums[t].get()))
    for t in tokens:
        e.store(out + size * t, sums[t].get())


if __name__ == "__main__":
    workers.serve(Machine)
