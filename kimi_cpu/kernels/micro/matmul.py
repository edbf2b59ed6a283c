"""Micro-kernels of the matmuls: tiles of 16 or 32 rows x 1..16 tokens, and the rounding of activations to int8.

A tile adds groups of 32 inputs in ascending order, from the first to the last, so that a row's bits depend neither on
the other rows and tokens of the tile nor on its size.

For products of bytes there is a class for each instruction, which multiplies 4 bytes of 16 rows by 4 bytes of a token.
A sum over a group of 32 (or 64) inputs begins with `zero`, takes 4 inputs with each `step` and ends with `finish`. An
instruction that wants unsigned weights gets nibbles as they are stored (value + 8), or q8 values + 128; then
-8 * sum(x) or -128 * sum(x) is added, which an activation has beside its scale (arrays.py).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

from llvmlite import ir

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS
from ..arrays import CACHE_GROUP, SUM_INT4, SUM_Q8
from ..codegen.native import Micro
from ..codegen.simd import F32, I8, I16, I32, I64, Emitter, Isa, Variable, Vec, vector

INT8_KINDS = ("int4", "q8")
KINDS = (*INT8_KINDS, "bf16")
LINE = 64  # bytes: 16 rows x 4
SCALES = 2 * ROWS  # bytes of bf16 scales at the head of a block
OFFSET = {"int4": 4 * SUM_INT4, "q8": 4 * SUM_Q8}  # bytes from a group's scale to its sum
SMMLA = "llvm.aarch64.neon.smmla.v4i32.v16i8"
BIAS = {"int4": 8, "q8": 128}  # what makes the stored values unsigned
PAIR_LEAST = 8  # tokens of the smallest tile of two row blocks: more than 16 are cut into equal parts of up to 12
TABLE = 16  # bytes of a token in the table of addresses: (q, s) or (x, unused)


def tile_name(kind: str, int8: bool, tokens: int) -> str:
    """Name of a tile's micro-kernel."""
    return f"tile_{kind}_{'int8' if int8 else 'f32'}_{tokens}"


def pair_name(kind: str, tokens: int) -> str:
    """Name of the micro-kernel of a tile of two row blocks."""
    return f"pair_{kind}_int8_{tokens}"


class Stream(NamedTuple):
    """A way in which a tile of one token reads. into: the cache that weights are asked into; lanes: at most, of its
    registers. All ways give the same bits: the sums of a row are the same in registers of any length."""

    into: str
    lanes: int

    def name(self, kind: str) -> str:
        return f"stream_{kind}_{self.into}_{self.lanes}"


STREAMS = [Stream(into, lanes) for lanes in (16, 8) for into in ("L2", "L1", "once")]  # the first is the tile itself


def int8_tile(kind: str, tokens: int, stream: Stream = STREAMS[0], name: str | None = None) -> Micro:
    """out f32[tokens, 16] = a row block at w times int8 activations.

    blocks: groups of 32 inputs; table i64[tokens, 2]: addresses of a token's q i8[32 * blocks] and s f32[blocks, 4];
    ahead: how many bytes before their use weights are asked for.
    """

    def body(e: Emitter, w: Vec, blocks: Vec, table: Vec, out: Vec, ahead: Vec) -> None:
        lanes = min(e.isa.lanes, stream.lanes)
        e.isa = replace(e.isa, lanes=lanes)
        q = [e.load(table + TABLE * t, I64) for t in range(tokens)]
        s = [e.load(table + (TABLE * t + 8), I64) for t in range(tokens)]
        parts = range(0, ROWS, lanes)
        sums = [[Variable(e, e.f32s(0)) for _ in parts] for _ in range(tokens)]
        with e.loop(blocks) as block:
            base, at, group = w + block * BLOCK_BYTES[kind], block * GROUP, block * 16
            _prefetch(e, kind, base + ahead, stream.into)
            lines = 4 if kind == "int4" else 8
            weights = [base + (SCALES + 4 * row) for row in parts]
            scales = [e.f32_of_bf16(e.load(base + 2 * row, vector(I16, lanes))) for row in parts]
            for p, t, dot in dot_products(e, kind, weights, lines, [x + at for x in q], [y + group for y in s]):
                factor = scales[p] * e.load_splat(s[t] + group, F32)
                sums[t][p].set(e.fma(dot.to(F32), factor, sums[t][p].get()))
        _store_tile(e, out, sums)

    return Micro(name or tile_name(kind, True, tokens), "iiiii", body)


def large_tile(kind: str, tokens: int, row_blocks: int) -> Micro:
    """out f32[row_blocks, tokens, 16] = row blocks, `pitch` bytes apart, times int8 activations; the rest as in
    `int8_tile`.

    The integer sums of a group fill the registers, and the f32 sums lie in `out` between the groups: a register of
    weights serves more tokens, and of two row blocks, which are computed side by side, one of x serves both.
    """

    def body(e: Emitter, w: Vec, blocks: Vec, table: Vec, out: Vec, ahead: Vec, *pitch: Vec) -> None:
        lanes, lines = e.isa.lanes, 4 if kind == "int4" else 8
        q = [e.load(table + TABLE * t, I64) for t in range(tokens)]
        s = [e.load(table + (TABLE * t + 8), I64) for t in range(tokens)]
        with e.loop(e.constant(I64, row_blocks * tokens * ROWS), step=lanes) as i:
            e.store(out + i * 4, e.f32s(0))
        registers = [(row, first) for row in range(row_blocks) for first in range(0, ROWS, lanes)]
        with e.loop(blocks) as block:
            at = block * BLOCK_BYTES[kind]
            bases = [w + at, *(w + one + at for one in pitch)]
            for base in bases:
                _prefetch(e, kind, base + ahead)
            xs, ys = ([address + block * size for address in of] for of, size in ((q, GROUP), (s, 16)))
            for n in range(0, len(registers), row_blocks):
                part = registers[n : n + row_blocks]
                weights = [bases[row] + (SCALES + 4 * first) for row, first in part]
                scales = [e.f32_of_bf16(e.load(bases[row] + 2 * first, vector(I16, lanes))) for row, first in part]
                for p, t, dot in _line_by_line(e, kind, weights, lines, xs, ys):
                    row, first = part[p]
                    place, factor = out + 4 * (ROWS * (tokens * row + t) + first), scales[p] * e.load_splat(ys[t], F32)
                    e.store(place, e.fma(dot.to(F32), factor, e.load(place, vector(F32, lanes))))

    if row_blocks == 1:
        return Micro(tile_name(kind, True, tokens), "iiiii", body)
    return Micro(pair_name(kind, tokens), "iiiiii", body)


def _prefetch(e: Emitter, kind: str, base: Vec, into: str = "L2") -> None:
    """Asks for a block of weights: the hardware's own prefetch ends at every 4 KiB page."""
    for line in range(0, BLOCK_BYTES[kind], LINE):
        e.prefetch(base + line, into)


def dot_products(
    e: Emitter, kind: str, parts: list[Vec], lines: int, q: list[Vec], s: list[Vec]
) -> Iterator[tuple[int, int, Vec]]:
    """(part, token, dot products i32[lanes]) of one group, for every part (a register of rows) and token.

    parts: addresses of a part's bytes in the first of the group's `lines` of 64 bytes; q, s: addresses of the tokens'
    integers and of what goes with them.
    """
    if e.isa.lanes == 8 and len(q) > 1:
        yield from _line_by_line(e, kind, parts, lines, q, s)
        return
    for p, address in enumerate(parts):
        operands = [w for line in range(lines) for w in operands_of(e, kind, address + LINE * line)]
        for t, dot in enumerate(_dots_of_rows(e, kind, operands, q, s)):
            yield p, t, dot


def _line_by_line(
    e: Emitter, kind: str, parts: list[Vec], lines: int, q: list[Vec], s: list[Vec]
) -> Iterator[tuple[int, int, Vec]]:
    """`dot_products` in which the sums of all parts and tokens stay in registers, and the weights pass by.

    It is a loop, as LLVM orders straight code part after part, and keeps every broadcast of x in memory for the next.
    """
    method, steps = method_of(e.isa), [(p, t) for t in range(len(q)) for p in range(len(parts))]
    sums = {step: Variable(e, method.zero(e, kind)) for step in steps}
    with e.loop(e.constant(I64, lines)) as line:
        weights = [operands_of(e, kind, address + line * LINE) for address in parts]
        for k in range(len(weights[0])):
            for p, t in steps:
                x = q[t] + line * (4 * len(weights[0])) + 4 * k
                sums[p, t].set(method.step(e, kind, sums[p, t].get(), weights[p][k], x, s[t]))
    for p, t in steps:
        yield p, t, method.finish(e, kind, sums[p, t].get(), s[t])


def _dots_of_rows(e: Emitter, kind: str, weights: list, q: list[Vec], s: list[Vec]) -> Iterator[Vec]:
    """Dot products i32[lanes] of a register of rows, one for each token: weights stay in registers, tokens pass by."""
    tokens = range(len(q))
    method = TwoChains if (e.isa.dot, e.isa.lanes) == ("vnni", 16) else method_of(e.isa)
    pairs = len(q) // 2 if e.isa.dot == "smmla" else 0
    for t in range(0, 2 * pairs, 2):
        yield from token_pair(e, weights, q[t], q[t + 1])
    for t in tokens[2 * pairs :]:
        total = method.zero(e, kind)
        for k, w in enumerate(weights):
            total = method.step(e, kind, total, w, q[t] + 4 * k, s[t])
        yield method.finish(e, kind, total, s[t])


def operands_of(e: Emitter, kind: str, address: Vec) -> list:
    """The weights of a line of a group, as the steps take them, in the order of the inputs."""
    method, v = method_of(e.isa), e.load(address, vector(I8, 4 * e.isa.lanes))
    return [method.weights(e, kind, w) for w in ((v & 15, v >> 4) if kind == "int4" else (v,))]


def f32_tile(kind: str, tokens: int) -> Micro:
    """out f32[tokens, 16] = a row block at w, its weights as f32, times f32 activations.

    blocks: groups of 32 inputs; table i64[tokens, 2]: address of a token's x f32[32 * blocks], and a spare; ahead: as
    in `int8_tile`. Even and odd inputs have sums of their own.
    """

    def body(e: Emitter, w: Vec, blocks: Vec, table: Vec, out: Vec, ahead: Vec) -> None:
        lanes = e.isa.lanes
        x = [e.load(table + TABLE * t, I64) for t in range(tokens)]
        parts = range(0, ROWS, lanes)
        sums = [[[Variable(e, e.f32s(0)) for _ in range(2)] for _ in parts] for _ in range(tokens)]
        with e.loop(blocks) as block:
            base, at = w + block * BLOCK_BYTES[kind], block * (4 * GROUP)
            _prefetch(e, kind, base + ahead)
            for p, row in enumerate(parts):
                for i, v in _values(e, kind, base, row):
                    for t in range(tokens):
                        total = sums[t][p][i % 2]
                        total.set(e.fma(v, e.load_splat(x[t] + at + 4 * i, F32), total.get()))
        for token in sums:
            for pair in token:
                pair[0].set(pair[0].get() + pair[1].get())
        _store_tile(e, out, [[pair[0] for pair in token] for token in sums])

    return Micro(tile_name(kind, False, tokens), "iiiii", body)


def _values(e: Emitter, kind: str, base: Vec, row: int) -> Iterator[tuple[int, Vec]]:
    """(input, weights f32[lanes] of it in rows row..) for the 32 inputs of a group."""
    lanes = e.isa.lanes
    if kind == "bf16":
        for line in range(GROUP // 2):
            pair = e.load(base + (LINE * line + 4 * row), vector(I32, lanes))
            yield 2 * line, (pair << 16).bits(F32)
            yield 2 * line + 1, (pair & -65536).bits(F32)
        return
    scale = e.f32_of_bf16(e.load(base + 2 * row, vector(I16, lanes)))
    for line in range(4 if kind == "int4" else 8):
        v = e.load(base + (SCALES + LINE * line + 4 * row), vector(I32, lanes))
        if kind == "int4":
            for j in range(8):
                nibble = (v >> (8 * (j % 4) + 4 * (j // 4))) & 15
                yield 8 * line + j, (nibble - 8).to(F32) * scale
        else:
            for j in range(4):
                yield 4 * line + j, (v << (24 - 8 * j)).sar(24).to(F32) * scale


def _store_tile(e: Emitter, out: Vec, sums: list[list[Variable]]) -> None:
    """out f32[tokens, 16] = the sums of each token and part."""
    for t, parts in enumerate(sums):
        for p, total in enumerate(parts):
            e.store(out + 4 * (ROWS * t + e.isa.lanes * p), total.get())


def quantize(group: int) -> Micro:
    """q i8[groups, group], s f32[groups, 4] = x f32[groups, group] rounded, as reference.quantize says."""

    def body(e: Emitter, x: Vec, q: Vec, s: Vec, groups: Vec) -> None:
        lanes = e.isa.lanes
        with e.loop(groups) as g:
            at = x + g * (4 * group)
            parts = [e.load(at + 4 * i, vector(F32, lanes)) for i in range(0, group, lanes)]
            scale, values = int8_values(e, parts)
            for i, v in enumerate(values):
                e.store(q + g * group + i * lanes, v.to(I8))
            total = reduce(Vec.__add__, values).fold(Vec.__add__)
            e.store(s + g * 16, scale)
            e.store(s + g * 16 + 4 * SUM_INT4, total * -8)
            e.store(s + g * 16 + 4 * SUM_Q8, total * -128)

    return Micro("quantize" if group == GROUP else f"quantize_{group}", "iiii", body)


def int8_values(e: Emitter, parts: list[Vec]) -> tuple[Vec, list[Vec]]:
    """(scale f32, rounded values i32[lanes] of each register) of the registers that make one group."""
    largest = (parts[0].bits(I32)) & 0x7FFFFFFF  # as integers: NaN is above infinity, which is above all numbers
    for v in parts[1:]:
        largest = largest.maximum(v.bits(I32) & 0x7FFFFFFF)
    scale = largest.fold(Vec.maximum).bits(F32) / 127.0
    usable = scale.compare("<", float("inf")).where(scale.compare(">", 0.0).where(scale, 0.0), 0.0).compare("!=", 0.0)
    divisor = e.splat(usable.where(scale, 1.0))
    keep = e.splat(usable.where(e.constant(I32, -1), 0))
    values = []
    for v in parts:
        ratio = (v / divisor).maximum(-127.0).minimum(127.0)
        values.append(e.round(ratio).to(I32) & keep)
    return scale, values


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


def micros(isa: Isa) -> list[Micro]:
    """The tiles of the sizes that a tier has, those of one token in several ways; the rounding of groups."""
    small = min(isa.int8_tile, 4 if isa.lanes == 8 else 16)  # the sums of more tokens do not fit into 16 registers
    tiles = [int8_tile(kind, t) for kind in INT8_KINDS for t in range(1, small + 1)]
    tiles += [large_tile(kind, t, 1) for kind in INT8_KINDS for t in range(small + 1, isa.int8_tile + 1)]
    tiles += [large_tile(kind, t, 2) for kind in INT8_KINDS for t in range(PAIR_LEAST, isa.int8_pair + 1)]
    tiles += [f32_tile(kind, t) for kind in KINDS for t in range(1, isa.f32_tile + 1)]
    streams = [stream for stream in STREAMS[1:] if stream.lanes == 16 or stream.lanes < isa.lanes]
    tiles += [int8_tile(kind, 1, stream, stream.name(kind)) for kind in INT8_KINDS for stream in streams]
    return [*tiles, quantize(GROUP), quantize(CACHE_GROUP)]
