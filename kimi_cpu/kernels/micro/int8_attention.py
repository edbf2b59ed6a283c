"""Micro-kernels of absorbed attention on an int8 cache: every multiplication is one of bytes.

Scores: a page's lines are 16 tokens x 4 values, as a q8 matrix's are 16 rows x 4 inputs, with a scale per token and 64
values; queries are rounded to int8 per 64. Values: the sum runs over tokens, whose scales differ; so probabilities
times scales are rounded to unsigned bytes, per head, page and 64 latents, and lines are transposed in registers to 4
tokens of one latent. Keys are lanes of a head's row here (micro/attention.py: queries are lanes).
"""

from ..arrays import CACHE_GROUP, PAGE_TOKENS
from ..codegen.native import Micro
from .dot import largest_unsigned, products
from .matmul import LINE, dot_products
from .simd import F32, I8, I32, I64, ROUND, Emitter, Variable, Vec, fold_lanes, vector

ROWS = 16  # tokens of a block
LINES = CACHE_GROUP // 4
GROUPS_AT_ONCE = 4  # scales of a page that rounding goes over at once, with registers of 16 lanes
INFINITY = float("inf")


def _scores(
    e: Emitter, page: Vec, groups: Vec, q: Vec, q_pitch: Vec, s: Vec, s_pitch: Vec, heads: Vec, out: Vec
) -> None:
    """out f32[heads, 64] = page's tokens times queries q i8[heads, 64 * groups], s f32[heads, groups, 4]."""
    width = groups * CACHE_GROUP
    scales = page + width * PAGE_TOKENS
    with e.loop(e.constant(I64, PAGE_TOKENS), step=ROWS) as token:
        for h, count in e.strips(heads, e.isa.f32_tile):
            rows = [(q + (h + i) * q_pitch, s + (h + i) * s_pitch) for i in range(count)]
            target = out + h * (4 * PAGE_TOKENS) + token * 4
            _score_tile(e, page + token * width, scales + token * 4, groups, rows, target)


def _score_tile(e: Emitter, block: Vec, scales: Vec, groups: Vec, rows: list[tuple[Vec, Vec]], out: Vec) -> None:
    """16 tokens x some heads, rows: addresses of their q and s."""
    lanes = e.isa.lanes
    parts = range(0, ROWS, lanes)
    sums = [[Variable(e, e.f32s(0)) for _ in parts] for _ in rows]
    with e.loop(groups) as g:
        lines, scale_row = block + g * (LINE * LINES), scales + g * (4 * PAGE_TOKENS)
        qs, ss = [q + g * CACHE_GROUP for q, _ in rows], [s + g * 16 for _, s in rows]
        scale = [e.load(scale_row + 4 * token, e.lanes_of(F32)) for token in parts]
        for p, i, dot in dot_products(e, "q8", [lines + 4 * token for token in parts], LINES, qs, ss):
            factor = scale[p] * e.load_splat(ss[i], F32)
            sums[i][p].set(e.fma(dot.to(F32), factor, sums[i][p].get()))
    for i, totals in enumerate(sums):
        for p, total in enumerate(totals):
            e.store(out + 4 * (PAGE_TOKENS * i + lanes * p), total.get())


def _softmax(
    e: Emitter, scores: Vec, heads: Vec, tokens: Vec, state: Vec, pitch: Vec,
    scales: Vec, groups: Vec, p: Vec, factors: Vec, scale: Vec, ahead: Vec, ahead_bytes: Vec,
) -> None:  # fmt: skip
    """One step of the online softmax for a page, and its probabilities rounded to bytes.

    scores f32[heads, 64], of which the first `tokens` count. state: rows `pitch` bytes apart of (largest score, sum,
    factor for earlier sums). p u8[heads, groups, 64] and factors f32[heads, groups]: p * factor = probability * scale.
    scores become probabilities; what lies in the page past its tokens is not looked at. ahead: of the next page, its
    first half is asked for meanwhile. Two loops over heads, as one would have longer chains than the CPU looks ahead.
    """
    lanes = e.isa.lanes
    steps = range(0, PAGE_TOKENS, lanes)
    index = Vec(e, vector(I32, lanes)(list(range(lanes))))
    seen = [(i, (index + i).compare("<", e.splat(tokens.to(I32)))) for i in steps]
    with e.loop(heads) as h:
        e.prefetch_share(ahead, ahead_bytes >> 1, h, heads)
        cell = state + h * pitch
        xs = [e.load(scores + h * (4 * PAGE_TOKENS) + 4 * i, e.lanes_of(F32)) * e.splat(scale) for i in steps]
        largest = None
        for (_, mask), x in zip(seen, xs, strict=True):
            x = mask.where(x, -INFINITY)
            largest = x if largest is None else largest.maximum(x)
        before = e.load(cell, F32)
        top = before.maximum(largest.fold(Vec.maximum))
        base = top.compare("==", -INFINITY).where(0.0, top)
        ratio = e.exp(before - base)
        ps = [mask.where(e.exp(x - e.splat(base)), 0.0) for (_, mask), x in zip(seen, xs, strict=True)]
        total = ps[0]
        for x in ps[1:]:
            total = total + x
        e.store(cell, top)
        e.store(cell + 4, e.load(cell + 4, F32) * ratio + total.fold(Vec.__add__))
        e.store(cell + 8, ratio)
        for i, x in zip(steps, ps, strict=True):
            e.store(scores + h * (4 * PAGE_TOKENS) + 4 * i, x)
    for g, count in e.strips(groups, GROUPS_AT_ONCE if lanes == 16 else 1):
        rows = [scales + (g + i) * (4 * PAGE_TOKENS) for i in range(count)]
        weights = [[mask.where(e.load(row + 4 * i, e.lanes_of(F32)), 0.0) for i, mask in seen] for row in rows]
        with e.loop(heads) as h:
            ps = [e.load(scores + h * (4 * PAGE_TOKENS) + 4 * i, e.lanes_of(F32)) for i in steps]
            at = h * groups + g
            _round_bytes(e, ps, weights, p + at * PAGE_TOKENS, factors + at * 4)


def _round_bytes(e: Emitter, ps: list[Vec], weights: list[list[Vec]], target: Vec, factors: Vec) -> None:
    """For each row of weights f32[64]: target u8[64] * factor = probabilities * weights."""
    xs = [[p * w for p, w in zip(ps, row, strict=True)] for row in weights]
    tops = []
    for row in xs:
        top = row[0].bits(I32)  # never negative, so that integers are in the same order, with NaN above all
        for x in row[1:]:
            top = top.maximum(x.bits(I32))
        tops.append(top)
    largest, most = fold_lanes(tops, Vec.maximum)[0].bits(F32), float(largest_unsigned(e))
    inverse = largest.compare(">", 1e-37).where(e.f32s(most, len(xs)) / largest, 0.0)
    e.store(factors, largest / most)
    for i, row in enumerate(xs):
        factor = e.splat(inverse.lane(i) if len(xs) > 1 else inverse)
        for j, x in enumerate(row):
            e.store(target + (PAGE_TOKENS * i + j * e.isa.lanes), (x * factor + ROUND).bits(I32).to(I8))


def _values(
    e: Emitter, page: Vec, groups: Vec, latents: Vec, heads: Vec,
    p: Vec, factors: Vec, state: Vec, out: Vec, pitch: Vec, ahead: Vec, ahead_bytes: Vec,
) -> None:  # fmt: skip
    """out f32[heads, latents] (rows `pitch` bytes apart) = out * state's factor + p times the page's tokens.

    groups: of a token's row in the page; p and factors are those of `latents` / 64 groups. ahead: of the next page, its
    second half is asked for meanwhile.
    """
    lanes, width = e.isa.lanes, groups * CACHE_GROUP
    chunk = PAGE_TOKENS if lanes != 8 else PAGE_TOKENS // 2  # tokens whose lines fill half of the registers
    latent_groups = latents >> 6
    for token in range(0, PAGE_TOKENS, chunk):
        with e.loop(latents, step=lanes) as latent:
            quads = []
            if token == 0:
                e.prefetch_share(ahead + (ahead_bytes >> 1), ahead_bytes >> 1, latent / lanes, latents / lanes)
            for t in range(token, token + chunk, lanes):
                block = page + width * (t // ROWS * ROWS) + 4 * (t % ROWS)
                lines = [e.load(block + latent * ROWS + LINE * i, vector(I8, 4 * lanes)) for i in range(lanes // 4)]
                quads += transpose(lines)
            with e.loop(heads) as h:
                at = h * latent_groups + (latent >> 6)
                total = [e.i32s(0), e.i32s(0)]
                for i, quad in enumerate(quads):
                    byte = e.load_splat(p + at * PAGE_TOKENS + (token + 4 * i), I32).bits(I8)
                    total[i % 2] = products(e, total[i % 2], byte, quad)
                target = out + h * pitch + latent * 4
                before = e.load(target, e.lanes_of(F32))
                if token == 0:
                    before = before * e.load_splat(state + h * pitch + 8, F32)
                product = (total[0] + total[1]).to(F32)
                e.store(target, e.fma(product, e.load_splat(factors + at * 4, F32), before))


def transpose(lines: list[Vec]) -> list[Vec]:
    """Registers of (tokens x 4 latents each) become registers of (4 tokens x as many latents as a register has lanes).

    Within 16 bytes, 4 tokens x 4 latents are transposed; then the 16-byte parts of the lines change places.
    """
    size = lines[0].lanes
    order = [i // 16 * 16 + i % 4 * 4 + i % 16 // 4 for i in range(size)]
    rows = [line.shuffle(order).bits(I32) for line in lines]
    if len(rows) == 2:
        a, b = rows
        rows = [a.shuffle([0, 1, 2, 3, 8, 9, 10, 11], b), a.shuffle([4, 5, 6, 7, 12, 13, 14, 15], b)]
    elif len(rows) == 4:
        low, high = [*range(8), *range(16, 24)], [*range(8, 16), *range(24, 32)]
        a, b, c, d = (x.shuffle(part, y) for part in (low, high) for x, y in (rows[:2], rows[2:]))
        even = [*range(4), *range(8, 12), *range(16, 20), *range(24, 28)]
        odd = [i + 4 for i in even]
        rows = [a.shuffle(even, b), a.shuffle(odd, b), c.shuffle(even, d), c.shuffle(odd, d)]
    return [row.bits(I8) for row in rows]


def micros() -> list[Micro]:
    """All of this file."""
    return [
        Micro("int8_scores", "iiiiiiii", _scores),
        Micro("int8_softmax", "iiiiiiiiifii", _softmax),
        Micro("int8_values", "iiiiiiiiiii", _values),
    ]
