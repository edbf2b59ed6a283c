"""Micro-kernels of the matmuls: tiles of 16 or 32 rows x 1..16 tokens, and the rounding of activations to int8.

A tile adds groups of 32 inputs in ascending order, from the first to the last, so that a row's bits depend neither on
the other rows and tokens of the tile nor on its size.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS
from ..arrays import CACHE_GROUP, SUM_INT4, SUM_Q8
from ..codegen.native import Micro
from ..codegen.simd import F32, I8, I16, I32, I64, Emitter, Isa, Variable, Vec, vector
from .products import method_in_turn, method_of, token_pair

INT8_KINDS = ("int4", "q8")
KINDS = (*INT8_KINDS, "bf16")
LINE = 64  # bytes: 16 rows x 4
SCALES = 2 * ROWS  # bytes of bf16 scales at the head of a block
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
    tokens, method = range(len(q)), method_in_turn(e.isa)
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
