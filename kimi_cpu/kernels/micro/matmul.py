"""Micro-kernels of the matmuls: tiles of 16 rows x 1..16 tokens, and the rounding of activations to int8.

A tile keeps its sums in registers from the first input to the last, so that a row's bits depend neither on the other
tokens of the tile nor on its size. Groups of 32 inputs are added in ascending order.
"""

from collections.abc import Iterator

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS
from ..arrays import CACHE_GROUP, SUM_INT4, SUM_Q8
from ..codegen.native import Micro
from ..codegen.simd import F32, I8, I16, I32, I64, Emitter, Isa, Variable, Vec, vector
from .dot import method_of, token_pair

INT8_KINDS = ("int4", "q8")
KINDS = (*INT8_KINDS, "bf16")
LINE = 64  # bytes: 16 rows x 4
SCALES = 2 * ROWS  # bytes of bf16 scales at the head of a block
STEPS = GROUP // 4  # steps of 4 inputs in a group
AHEAD = 8192  # bytes: more than memory delivers in its latency
TABLE = 16  # bytes of a token in the table of addresses: (q, s) or (x, unused)


def tile_name(kind: str, int8: bool, tokens: int) -> str:
    """Name of a tile's micro-kernel."""
    return f"tile_{kind}_{'int8' if int8 else 'f32'}_{tokens}"


def int8_tile(kind: str, tokens: int) -> Micro:
    """out f32[tokens, 16] = a row block at w times int8 activations.

    blocks: groups of 32 inputs; table i64[tokens, 2]: addresses of a token's q i8[32 * blocks] and s f32[blocks, 4].
    """

    def body(e: Emitter, w: Vec, blocks: Vec, table: Vec, out: Vec) -> None:
        lanes = e.isa.lanes
        q = [e.load(table + TABLE * t, I64) for t in range(tokens)]
        s = [e.load(table + (TABLE * t + 8), I64) for t in range(tokens)]
        parts = range(0, ROWS, lanes)
        sums = [[Variable(e, e.f32s(0)) for _ in parts] for _ in range(tokens)]
        with e.loop(blocks) as block:
            base, at, group = w + block * BLOCK_BYTES[kind], block * GROUP, block * 16
            _prefetch(e, kind, base)
            lines = 4 if kind == "int4" else 8
            weights = [base + (SCALES + 4 * row) for row in parts]
            scales = [e.f32_of_bf16(e.load(base + 2 * row, vector(I16, lanes))) for row in parts]
            for p, t, dot in dot_products(e, kind, weights, lines, [x + at for x in q], [y + group for y in s]):
                factor = scales[p] * e.load_splat(s[t] + group, F32)
                sums[t][p].set(e.fma(dot.to(F32), factor, sums[t][p].get()))
        _store_tile(e, out, sums)

    return Micro(tile_name(kind, True, tokens), "iiii", body)


def _prefetch(e: Emitter, kind: str, base: Vec) -> None:
    """Asks for weights early: the hardware's own prefetch ends at every 4 KiB page."""
    for line in range(0, BLOCK_BYTES[kind], LINE):
        e.prefetch(base + (AHEAD + line))


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
    """`dot_products` with 16 registers: all sums stay in them, and the weights pass by.

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
    tokens, method = range(len(q)), method_of(e.isa)
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

    blocks: groups of 32 inputs; table i64[tokens, 2]: address of a token's x f32[32 * blocks], and a spare. Even and
    odd inputs have sums of their own.
    """

    def body(e: Emitter, w: Vec, blocks: Vec, table: Vec, out: Vec) -> None:
        lanes = e.isa.lanes
        x = [e.load(table + TABLE * t, I64) for t in range(tokens)]
        parts = range(0, ROWS, lanes)
        sums = [[[Variable(e, e.f32s(0)) for _ in range(2)] for _ in parts] for _ in range(tokens)]
        with e.loop(blocks) as block:
            base, at = w + block * BLOCK_BYTES[kind], block * (4 * GROUP)
            _prefetch(e, kind, base)
            for p, row in enumerate(parts):
                for i, v in _values(e, kind, base, row):
                    for t in range(tokens):
                        total = sums[t][p][i % 2]
                        total.set(e.fma(v, e.load_splat(x[t] + at + 4 * i, F32), total.get()))
        for token in sums:
            for pair in token:
                pair[0].set(pair[0].get() + pair[1].get())
        _store_tile(e, out, [[pair[0] for pair in token] for token in sums])

    return Micro(tile_name(kind, False, tokens), "iiii", body)


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
            total = None
            for i, v in enumerate(values):
                e.store(q + g * group + i * lanes, v.to(I8))
                total = v if total is None else total + v
            total = total.fold(Vec.__add__)
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
    """The tiles of the sizes that a tier has, and the rounding of groups of 32 and 64."""
    tiles = [int8_tile(kind, t) for kind in INT8_KINDS for t in range(1, isa.int8_tile + 1)]
    tiles += [f32_tile(kind, t) for kind in KINDS for t in range(1, isa.f32_tile + 1)]
    return [*tiles, quantize(GROUP), quantize(CACHE_GROUP)]
