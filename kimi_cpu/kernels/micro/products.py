"""Products of bytes: a class for each instruction, which multiplies 4 bytes of 16 rows by 4 bytes of a token.

A sum over a group of 32 (or 64) inputs begins with `zero`, takes 4 inputs with each `step` and ends with `finish`. An
instruction that wants unsigned weights gets nibbles as they are stored (value + 8), or q8 values + 128; then
-8 * sum(x) or -128 * sum(x) is added, which an activation has beside its scale (arrays.py).
"""

from typing import Any

from llvmlite import ir

from ..arrays import SUM_INT4, SUM_Q8
from ..codegen.simd import I8, I16, I32, Emitter, Isa, Vec, vector

OFFSET = {"int4": 4 * SUM_INT4, "q8": 4 * SUM_Q8}  # bytes from a group's scale to its sum
SMMLA = "llvm.aarch64.neon.smmla.v4i32.v16i8"
BIAS = {"int4": 8, "q8": 128}  # what makes the stored values unsigned


def _bytes(e: Emitter, address: Vec) -> Vec:
    """4 bytes at an address, repeated for every row of a register: i8[4 * lanes]."""
    return e.load_splat(address, I32).bits(I8)


class Unsigned:
    """u8 weights times s8 activations: AVX-VNNI `vpdpbusd`."""

    @staticmethod
    def weights(e: Emitter, kind: str, raw: Vec) -> Vec:
        return raw if kind == "int4" else raw ^ -128

    @staticmethod
    def zero(e: Emitter, kind: str) -> Any:
        return e.i32s(0)

    @staticmethod
    def step(e: Emitter, kind: str, sums: Any, w: Vec, x: Vec, sum_address: Vec) -> Any:
        return Unsigned.multiply(e, sums, w, _bytes(e, x))

    @staticmethod
    def finish(e: Emitter, kind: str, sums: Any, sum_address: Vec) -> Vec:
        return sums + e.load_splat(sum_address + OFFSET[kind], I32)

    @staticmethod
    def multiply(e: Emitter, total: Vec, u: Vec, s: Vec) -> Vec:
        """total i32[lanes] + 4 products in each lane, of u8 u and s8 s."""
        name = f"llvm.x86.avx512.vpdpbusd.{32 * e.isa.lanes}"
        return e.call(name, total.type, total, u, s)


class TwoChains(Unsigned):
    """The same in two sums of each dot product, which hide the latency where there are registers for them."""

    @staticmethod
    def zero(e: Emitter, kind: str) -> tuple:
        return (None, e.i32s(0))

    @staticmethod
    def step(e: Emitter, kind: str, sums: tuple, w: Vec, x: Vec, sum_address: Vec) -> tuple:
        first, second = sums
        if first is None:
            first = e.load_splat(sum_address + OFFSET[kind], I32)
        return second, Unsigned.multiply(e, first, w, _bytes(e, x))

    @staticmethod
    def finish(e: Emitter, kind: str, sums: tuple, sum_address: Vec) -> Vec:
        return sums[0] + sums[1]


class Maddubs:
    """AVX2: `vpmaddubsw` sums pairs into int16.

    8 steps of nibbles stay below 15 * 127 * 16 = 30,480, and are widened at the end. q8 weights would not fit: |w| is
    taken as unsigned, its sign moves to x, and every step is widened (2 * 127 * 127 = 32,258 fits).
    """

    @staticmethod
    def weights(e: Emitter, kind: str, raw: Vec) -> Vec | tuple:
        if kind == "int4":
            return raw
        return e.call("llvm.abs.v32i8", raw.type, raw, Vec(e, ir.IntType(1)(0))), raw

    @staticmethod
    def zero(e: Emitter, kind: str) -> Vec:
        return e.constant(vector(I16, 2 * e.isa.lanes), 0) if kind == "int4" else e.i32s(0)

    @staticmethod
    def step(e: Emitter, kind: str, total: Vec, w, x: Vec, sum_address: Vec) -> Vec:
        if kind == "int4":
            return total + Maddubs._pairs(e, w, _bytes(e, x))
        size, signed = w
        moved = e.call("llvm.x86.avx2.psign.b", signed.type, _bytes(e, x), signed)
        return total + Maddubs.multiply(e, size, moved)

    @staticmethod
    def finish(e: Emitter, kind: str, total: Vec, sum_address: Vec) -> Vec:
        if kind == "q8":
            return total
        return Maddubs._widen(e, total) + e.load_splat(sum_address + OFFSET[kind], I32)

    @staticmethod
    def multiply(e: Emitter, u: Vec, s: Vec) -> Vec:
        """i32[lanes], sums of 4 products each, of u8 u (at most 127) and s8 s."""
        return Maddubs._widen(e, Maddubs._pairs(e, u, s))

    @staticmethod
    def _pairs(e: Emitter, u: Vec, s: Vec) -> Vec:
        return e.call("llvm.x86.avx2.pmadd.ub.sw", vector(I16, 16), u, s)

    @staticmethod
    def _widen(e: Emitter, pairs: Vec) -> Vec:
        ones = e.constant(vector(I16, 16), 1)
        return e.call("llvm.x86.avx2.pmadd.wd", vector(I32, 8), pairs, ones)


class Signed:
    """s8 weights times s8 activations: NEON `sdot`, and plain integer arithmetic for any other machine."""

    @staticmethod
    def weights(e: Emitter, kind: str, raw: Vec) -> Vec:
        return raw - BIAS[kind] if kind == "int4" else raw

    @staticmethod
    def zero(e: Emitter, kind: str) -> Vec:
        return e.i32s(0)

    @staticmethod
    def step(e: Emitter, kind: str, total: Vec, w: Vec, x: Vec, sum_address: Vec) -> Vec:
        if e.isa.dot != "generic":
            return e.call("llvm.aarch64.neon.sdot.v4i32.v16i8", total.type, total, w, _bytes(e, x))
        for j in range(4):
            one = (w.bits(I32) << (24 - 8 * j)).sar(24)  # byte j of every row
            total = total + one * e.splat(e.load(x + j, I8).to(I32))
        return total

    @staticmethod
    def finish(e: Emitter, kind: str, total: Vec, sum_address: Vec) -> Vec:
        return total


def method_of(isa: Isa) -> type:
    """The class that a tier multiplies with."""
    if isa.dot == "vnni":
        return Unsigned
    return Maddubs if isa.dot == "maddubs" else Signed


def method_in_turn(isa: Isa) -> type:
    """The same for dot products that are computed one after the other, and would each wait for its last step."""
    return TwoChains if (isa.dot, isa.lanes) == ("vnni", 16) else method_of(isa)


def token_pair(e: Emitter, weights: list[Vec], first: Vec, second: Vec) -> tuple[Vec, Vec]:
    """Dot products i32[4] of 4 rows with each of two tokens: NEON `smmla`, 2 rows x 2 tokens x 8 inputs at a time.

    weights: s8 registers of 4 rows x 4 inputs, in the order of the inputs; first, second: addresses of the tokens' q.
    """
    upper, lower = e.i32s(0), e.i32s(0)  # rows 0, 1 and rows 2, 3; lanes: (row, token) = 00, 01, 10, 11
    for k in range(0, len(weights), 2):
        a, b = weights[k].bits(I32), weights[k + 1].bits(I32)
        x, y = (e.load(q + 4 * k, vector(I32, 2)) for q in (first, second))
        both = x.shuffle(range(4), y).bits(I8)
        upper = e.call(SMMLA, upper.type, upper, a.shuffle([0, 4, 1, 5], b).bits(I8), both)
        lower = e.call(SMMLA, lower.type, lower, a.shuffle([2, 6, 3, 7], b).bits(I8), both)
    return upper.shuffle([0, 2, 4, 6], lower), upper.shuffle([1, 3, 5, 7], lower)


def products(e: Emitter, total: Vec, u: Vec, s: Vec) -> Vec:
    """total i32[lanes] + 4 products in each lane, of u8 u (at most `largest_unsigned`) and s8 s."""
    if e.isa.dot == "vnni":
        return Unsigned.multiply(e, total, u, s)
    if e.isa.dot == "maddubs":
        return total + Maddubs.multiply(e, u, s)
    if e.isa.dot != "generic":
        return e.call("llvm.aarch64.neon.sdot.v4i32.v16i8", total.type, total, s, u)
    for j in range(4):
        total = total + (u.bits(I32) << (24 - 8 * j)).sar(24) * (s.bits(I32) << (24 - 8 * j)).sar(24)
    return total


def largest_unsigned(e: Emitter) -> int:
    """The largest u8 that `products` takes: vpmaddubsw sums pairs into int16, and sdot takes signed bytes."""
    return 255 if e.isa.dot == "vnni" else 127
