"""Micro-kernels on rows: what is copied, added, normalised, rotated, looked up, scored by the router or absorbed.

Arguments are addresses (i64), numbers of elements, and pitches: bytes from a row to the next.
"""

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS
from ..codegen.native import Micro
from ..codegen.simd import F32, I16, I32, I64, Emitter, Variable, Vec, fold_lanes
from .matmul import KINDS, LINE, SCALES

SCORE_TOKENS = (1, 4)  # of a tile of the router
SCORE_ROWS = (1, 4)
ABSORB_TOKENS = (1, 4)  # tokens that share a line's conversion
ABSORB_COLUMNS = 256  # columns times tokens: their sums, 16 KiB, stay in the first-level cache beside what is read


def _put(e: Emitter, source: Vec, target: Vec, pitch: Vec, tokens: Vec, count: Vec) -> None:
    """target f32[tokens, :count] = source f32[tokens, 16]; pitch: of target."""
    with e.loop(tokens) as t:
        for i, lanes in e.strips(count):
            value = e.load(source + t * (4 * ROWS) + i * 4, e.lanes_of(F32, lanes))
            e.store(target + t * pitch + i * 4, value)


def _add(e: Emitter, source: Vec, target: Vec, pitch: Vec, tokens: Vec, count: Vec) -> None:
    """target f32[tokens, :count] += source f32[tokens, 16]; pitch: of target."""
    with e.loop(tokens) as t:
        for i, lanes in e.strips(count):
            kind, at = e.lanes_of(F32, lanes), target + t * pitch + i * 4
            e.store(at, e.load(at, kind) + e.load(source + t * (4 * ROWS) + i * 4, kind))


def _add_weighted(e: Emitter, source: Vec, rows: Vec, weights: Vec, offset: Vec, tokens: Vec, count: Vec) -> None:
    """f32[count] at rows[t] + offset += weights[t] * source[t], of source f32[tokens, 16].

    rows i64[tokens]: addresses; offset: bytes; weights f32[tokens].
    """
    with e.loop(tokens) as t:
        target, weight = e.load(rows + t * 8, I64) + offset, e.load(weights + t * 4, F32)
        for i, lanes in e.strips(count):
            kind, at = e.lanes_of(F32, lanes), target + i * 4
            value = e.load(source + t * (4 * ROWS) + i * 4, kind)
            e.store(at, e.fma(value, e.splat(weight, lanes), e.load(at, kind)))


def _clear(e: Emitter, target: Vec, pitch: Vec, tokens: Vec, count: Vec) -> None:
    """target f32[tokens, :count] = 0; pitch: of target."""
    with e.loop(tokens) as t:
        for i, lanes in e.strips(count):
            e.store(target + t * pitch + i * 4, e.f32s(0, lanes))


def _silu_mul(e: Emitter, gate: Vec, up: Vec, target: Vec, pitch: Vec, tokens: Vec, count: Vec) -> None:
    """target f32[tokens, :count] = silu(gate) * up, of gate, up f32[tokens, 16]; pitch: of target."""
    with e.loop(tokens) as t:
        for i, lanes in e.strips(count):
            kind, at = e.lanes_of(F32, lanes), t * (4 * ROWS) + i * 4
            g = e.load(gate + at, kind)
            e.store(target + t * pitch + i * 4, g * e.sigmoid(g) * e.load(up + at, kind))


def _rms_norm(e: Emitter, x: Vec, weight: Vec, target: Vec, count: Vec, eps: Vec) -> None:
    """target f32[count] = x / sqrt(mean(x^2) + eps) * weight, of x, weight f32[count]."""
    wide, rest = Variable(e, e.f32s(0)), Variable(e, e.f32s(0, 1))
    for i, lanes in e.strips(count):
        v, total = e.load(x + i * 4, e.lanes_of(F32, lanes)), rest if lanes == 1 else wide
        total.set(e.fma(v, v, total.get()))
    mean = (wide.get().fold(Vec.__add__) + rest.get()) / count.to(F32)
    factor = e.f32s(1, 1) / e.call("llvm.sqrt.f32", F32, mean + eps)
    for i, lanes in e.strips(count):
        kind = e.lanes_of(F32, lanes)
        normed = e.load(x + i * 4, kind) * e.splat(factor, lanes)
        e.store(target + i * 4, normed * e.load(weight + i * 4, kind))


def _rotate(e: Emitter, x: Vec, cos: Vec, sin: Vec, target: Vec, pairs: Vec) -> None:
    """target f32[2 * pairs] = neighbouring pairs of x f32[2 * pairs] rotated by cos, sin f32[pairs].

    RoPE as in modeling_deepseek_v3.py, rope_interleave.
    """
    for i, lanes in e.strips(pairs):
        kind, at, step = e.lanes_of(F32, lanes), i * 8, 4 * lanes
        first, second = e.load(x + at, kind), e.load(x + at + step, kind)
        even, odd = first, second
        if lanes > 1:
            even, odd = (first.shuffle(range(k, 2 * lanes, 2), second) for k in (0, 1))
        c, s = e.load(cos + i * 4, kind), e.load(sin + i * 4, kind)
        y, z = even * c - odd * s, odd * c + even * s
        if lanes > 1:
            mixed = [j // 2 + lanes * (j % 2) for j in range(2 * lanes)]
            y, z = y.shuffle(mixed[:lanes], z), y.shuffle(mixed[lanes:], z)
        e.store(target + at, y)
        e.store(target + at + step, z)


def embed(kind: str) -> Micro:
    """target f32[32 * blocks] = row `row` (0..15) of the row block at w."""

    def body(e: Emitter, w: Vec, blocks: Vec, row: Vec, target: Vec) -> None:
        with e.loop(blocks) as block:
            base, out = w + block * BLOCK_BYTES[kind], target + block * (4 * GROUP)
            if kind == "bf16":
                for line in range(GROUP // 2):
                    pair = e.load(base + row * 4 + LINE * line, I32)
                    e.store(out + 8 * line, (pair << 16).bits(F32))
                    e.store(out + (8 * line + 4), (pair & -65536).bits(F32))
                return
            scale = e.f32_of_bf16(e.load(base + row * 2, I16))
            for line in range(4 if kind == "int4" else 8):
                v = e.load(base + row * 4 + (SCALES + LINE * line), I32)
                for j in range(8 if kind == "int4" else 4):
                    if kind == "int4":
                        value = ((v >> (8 * (j % 4) + 4 * (j // 4))) & 15) - 8
                        at = 8 * line + j
                    else:
                        value = (v << (24 - 8 * j)).sar(24)
                        at = 4 * line + j
                    e.store(out + 4 * at, value.to(F32) * scale)

    return Micro(f"embed_{kind}", "iiii", body)


def scores(tokens: int, rows: int) -> Micro:
    """out f32[tokens, rows] = x f32[tokens, count] w^T, of w f32[rows, count]."""

    def body(e: Emitter, x: Vec, x_pitch: Vec, w: Vec, w_pitch: Vec, count: Vec, out: Vec) -> None:
        sums = {}
        for key in [(t, r) for t in range(tokens) for r in range(rows)]:
            sums[key] = Variable(e, e.f32s(0)), Variable(e, e.f32s(0, 1))
        for i, lanes in e.strips(count):
            kind = e.lanes_of(F32, lanes)
            xs = [e.load(x + x_pitch * t + i * 4, kind) for t in range(tokens)]
            for r in range(rows):
                v = e.load(w + w_pitch * r + i * 4, kind)
                for t in range(tokens):
                    total = sums[t, r][lanes == 1]
                    total.set(e.fma(xs[t], v, total.get()))
        for (t, r), (wide, rest) in sums.items():
            e.store(out + 4 * (t * rows + r), wide.get().fold(Vec.__add__) + rest.get())

    return Micro(f"scores_{tokens}_{rows}", "iiiiii", body)


def _sigmoid(e: Emitter, x: Vec, target: Vec, count: Vec) -> None:
    """target f32[count] = 1 / (1 + e^-x), of x f32[count]."""
    for i, lanes in e.strips(count):
        e.store(target + i * 4, e.sigmoid(e.load(x + i * 4, e.lanes_of(F32, lanes))))


def _copy(e: Emitter, x: Vec, target: Vec, count: Vec) -> None:
    """target f32[count] = x f32[count]."""
    for i, lanes in e.strips(count):
        e.store(target + i * 4, e.load(x + i * 4, e.lanes_of(F32, lanes)))


def _to_f16(e: Emitter, x: Vec, target: Vec, count: Vec) -> None:
    """target f16[count] = x f32[count], rounded."""
    for i, lanes in e.strips(count):
        e.store(target + i * 2, e.f16_of_f32(e.load(x + i * 4, e.lanes_of(F32, lanes))))


def _from_f16(e: Emitter, x: Vec, target: Vec, count: Vec) -> None:
    """target f32[count] = x f16[count]."""
    for i, lanes in e.strips(count):
        e.store(target + i * 4, e.f32_of_f16(e.load(x + i * 2, e.lanes_of(I16, lanes))))


def _prefetch(e: Emitter, address: Vec, count: Vec) -> None:
    """Asks for the cache lines of `count` bytes at an address."""
    with e.loop(count, step=LINE) as i:
        e.prefetch(address + i)


def absorb(kind: str, tokens: int) -> Micro:
    """out f32[tokens, 32 * groups] = q f32[tokens, 16 * row_blocks] W: a sum over the rows of the packed matrix.

    w_pitch: bytes from a row block to the next; ahead: from what is read to what is asked for meanwhile. Lanes are
    rows: every column of a token has a register of partial sums, which waits in a line of `room`
    f32[ABSORB_COLUMNS, 16] from a row block to the next, so that long pieces of memory are read one after the other.
    """
    span = ABSORB_COLUMNS // (GROUP * tokens)  # groups that `room` holds

    def body(
        e: Emitter, w: Vec, w_pitch: Vec, row_blocks: Vec, groups: Vec, q: Vec, room: Vec, out: Vec, ahead: Vec
    ) -> None:
        row = 4 * ROWS
        with e.loop(groups, step=span) as first:
            end = groups.minimum(first + span)
            for block, count in e.strips(row_blocks, 2):
                with e.loop(end, start=first) as g:
                    bases = [w + g * BLOCK_BYTES[kind] + (block + i) * w_pitch for i in range(count)]
                    for base in bases:
                        for at in range(0, BLOCK_BYTES[kind], LINE):
                            e.prefetch(base + ahead + at)
                    qs = [[q + (row_blocks * t + block + i) * row for i in range(count)] for t in range(tokens)]
                    cells = [room + ((g - first) + span * t) * (GROUP * LINE) for t in range(tokens)]
                    _absorb_group(e, kind, bases, qs, cells, block.compare("==", 0))
            with e.loop(end, start=first) as g:
                for t in range(tokens):
                    at = room + ((g - first) + span * t) * (GROUP * LINE)
                    sums = [e.load(at + LINE * i, e.lanes_of(F32)) for i in range(GROUP)]
                    target = out + (groups * t + g) * (4 * GROUP)
                    for i, total in enumerate(fold_lanes(sums, Vec.__add__)):
                        e.store(target + 4 * total.lanes * i, total)

    return Micro(f"absorb_{kind}_{tokens}", "iiiiiiii", body)


def _absorb_group(e: Emitter, kind: str, bases: list[Vec], qs: list[list[Vec]], cells: list[Vec], fresh: Vec) -> None:
    """Adds the products of one group of 32 columns to the partial sums of all tokens.

    bases: addresses of the group in some row blocks; qs: for each token, addresses of its inputs of these row blocks;
    cells: for each token, address of its partial sums; fresh: a mask, whether these begin at 0.
    """
    parts = range(0, ROWS, e.isa.lanes)
    xs = [[[e.load(x + 4 * row, e.lanes_of(F32)) for row in parts] for x in token] for token in qs]
    if kind != "bf16":
        scales = [[e.f32_of_bf16(e.load(base + 2 * row, e.lanes_of(I16))) for row in parts] for base in bases]
        xs = [[[x * s for x, s in zip(*p, strict=True)] for p in zip(token, scales, strict=True)] for token in xs]
    lines = {"int4": 4, "q8": 8, "bf16": 16}[kind]
    width, offset = GROUP // lines, 0 if kind == "bf16" else SCALES
    for line in range(lines):
        columns = [
            [_columns(e, kind, e.load(base + (offset + LINE * line + 4 * row), e.lanes_of(I32))) for row in parts]
            for base in bases
        ]
        for token, cell in zip(xs, cells, strict=True):
            for i in range(width):
                at = cell + LINE * (width * line + i)
                total = fresh.where(0.0, e.load(at, e.lanes_of(F32)))
                for b in range(len(bases)):
                    for p in range(len(parts)):
                        total = e.fma(columns[b][p][i], token[b][p], total)
                e.store(at, total)


def _columns(e: Emitter, kind: str, line: Vec) -> list[Vec]:
    """The columns of a line of 64 bytes (or what a register has of it) as f32 registers, not yet scaled."""
    if kind == "bf16":
        return [(line << 16).bits(F32), (line & -65536).bits(F32)]
    if kind == "q8":
        return [(line << (24 - 8 * j)).sar(24).to(F32) for j in range(4)]
    return [(((line >> (8 * (j % 4) + 4 * (j // 4))) & 15) - 8).to(F32) for j in range(8)]


def micros() -> list[Micro]:
    """The micro-kernels of this file."""
    plain = [
        Micro("put", "iiiii", _put),
        Micro("add", "iiiii", _add),
        Micro("add_weighted", "iiiiii", _add_weighted),
        Micro("clear", "iiii", _clear),
        Micro("silu_mul", "iiiiii", _silu_mul),
        Micro("rms_norm", "iiiif", _rms_norm),
        Micro("rotate", "iiiii", _rotate),
        Micro("sigmoid", "iii", _sigmoid),
        Micro("copy", "iii", _copy),
        Micro("to_f16", "iii", _to_f16),
        Micro("from_f16", "iii", _from_f16),
        Micro("prefetch", "ii", _prefetch),
    ]
    tiles = [scores(tokens, rows) for tokens in SCORE_TOKENS for rows in SCORE_ROWS]
    return [*plain, *(embed(kind) for kind in KINDS), *(absorb(k, t) for k in KINDS for t in ABSORB_TOKENS), *tiles]
