"""Micro-kernels of attention, over one page of the cache at a time, and of the pages themselves.

In float32, queries are lanes: scores, probabilities and outputs are stored [key or dimension, query], so that softmax
needs no sums across a register and one routine serves both forms of attention: the 64 heads of one token (absorbed) or
many tokens of one head (expanded). Columns (queries) come in multiples of 16, keys in pages of 64.

On an int8 cache (`_int8_…`, absorbed only) every multiplication is one of bytes, and keys are lanes. Scores: a page's
lines are 16 tokens x 4 values, as a q8 matrix's are 16 rows x 4 inputs, with a scale for a token and 64 values; queries
are rounded to int8 per 64. Values: the sum runs over tokens, whose scales differ; so probabilities times scales are
rounded to unsigned bytes, per head, page and 64 latents, and lines are transposed in registers to 4 tokens of one
latent.
"""

from collections.abc import Iterator
from math import lcm

from ..arrays import CACHE_GROUP, PAGE_TOKENS
from ..codegen.native import Micro
from ..codegen.simd import F32, I8, I32, I64, ROUND, Emitter, Variable, Vec, fold_lanes, vector
from .matmul import LINE, dot_products, int8_values
from .products import largest_unsigned, products

COLUMNS = 16  # queries come in multiples of it
DEEP = 4  # keys of a score tile, dimensions of a value tile
QUERY_BYTES = 12_288  # of queries that stay in the first-level cache beside the keys
ROWS = 16  # tokens of a block of an int8 page
LINES = CACHE_GROUP // 4
GROUPS_AT_ONCE = 4  # scales of a page that rounding goes over at once, with registers of 16 lanes
INFINITY = float("inf")


def _column_blocks(e: Emitter, columns: Vec) -> Iterator[tuple[Vec, int]]:
    """Loops over blocks of columns, as (first column, registers): as wide as the tier's registers allow, then of 16."""
    lanes, narrow = e.isa.lanes, COLUMNS // e.isa.lanes
    wide = {16: 4, 8: 3}.get(lanes, narrow)  # DEEP x wide sums fit 32 or 16 registers
    step = lcm(wide * lanes, COLUMNS)
    whole = columns / step * step
    with e.loop(whole, step=wide * lanes) as column:
        yield column, wide
    if wide > narrow:
        with e.loop(columns, start=whole, step=COLUMNS) as column:
            yield column, narrow


def _scores(
    e: Emitter, q: Vec, q_pitch: Vec, k: Vec, k_pitch: Vec, dims: Vec, keys: Vec, out: Vec, columns: Vec
) -> None:
    """out f32[keys, columns] = k f32[keys, dims] q f32[dims, columns]; q_pitch: bytes of a row of q and of out.

    Dimensions are taken so many at a time that the queries stay in the first-level cache while all keys pass.
    """
    kind, lanes = e.lanes_of(F32), e.isa.lanes
    for column, registers in _column_blocks(e, columns):
        near = QUERY_BYTES // (4 * lanes * registers)
        with e.loop(dims, step=near) as first, e.loop(keys, step=DEEP) as key:
            end = dims.minimum(first + near)
            row = out + key * q_pitch + column * 4
            cells = [[row + q_pitch * i + 4 * lanes * r for r in range(registers)] for i in range(DEEP)]
            fresh = first.compare("==", 0)
            sums = [[Variable(e, fresh.where(0.0, e.load(cell, kind))) for cell in cells[i]] for i in range(DEEP)]
            with e.loop(end, start=first) as d:
                at = q + d * q_pitch + column * 4
                qs = [e.load(at + 4 * lanes * r, kind) for r in range(registers)]
                for i in range(DEEP):
                    x = e.load_splat(k + (key + i) * k_pitch + d * 4, F32)
                    for r in range(registers):
                        sums[i][r].set(e.fma(qs[r], x, sums[i][r].get()))
            for i in range(DEEP):
                for r in range(registers):
                    e.store(cells[i][r], sums[i][r].get())


def _values(
    e: Emitter, p: Vec, pitch: Vec, v: Vec, v_pitch: Vec, keys: Vec, dims: Vec, out: Vec, factor: Vec, columns: Vec,
    ahead: Vec, ahead_bytes: Vec,
) -> None:  # fmt: skip
    """out f32[dims, columns] = out * factor f32[columns] + v^T p, of v f32[keys, dims] and p f32[keys, columns].

    pitch: bytes of a row of p and of out. ahead, ahead_bytes: memory that is asked for meanwhile.
    """
    kind, lanes = e.lanes_of(F32), e.isa.lanes
    with e.loop(dims, step=DEEP) as d:
        e.prefetch_share(ahead, ahead_bytes, d / DEEP, dims / DEEP)
        for column, registers in _column_blocks(e, columns):
            factors = [e.load(factor + column * 4 + 4 * lanes * r, kind) for r in range(registers)]
            at = out + d * pitch + column * 4
            sums = [
                [Variable(e, e.load(at + pitch * i + 4 * lanes * r, kind) * factors[r]) for r in range(registers)]
                for i in range(DEEP)
            ]
            with e.loop(keys) as key:
                ps = [e.load(p + key * pitch + column * 4 + 4 * lanes * r, kind) for r in range(registers)]
                for i in range(DEEP):
                    x = e.load_splat(v + key * v_pitch + (d + i) * 4, F32)
                    for r in range(registers):
                        sums[i][r].set(e.fma(ps[r], x, sums[i][r].get()))
            for i in range(DEEP):
                for r in range(registers):
                    e.store(at + pitch * i + 4 * lanes * r, sums[i][r].get())


def _softmax(
    e: Emitter, s: Vec, pitch: Vec, keys: Vec, first: Vec, limits: Vec, state: Vec, columns: Vec, scale: Vec
) -> None:
    """A page's step of the online softmax (Milakov and Gimelshein, 2018): s f32[keys, columns] = e^(scale s - maximum).

    limits i32[columns]: the last key that a column sees; key i of the page is number first + i. state f32[3, columns]:
    the largest score and the sum so far, both updated, and the factor for what was summed before. pitch: bytes of a row
    of s and of state.
    """
    kind, lanes = e.lanes_of(F32), e.isa.lanes
    factor = e.splat(scale)
    with e.loop(columns, step=lanes) as column:
        at, cell = s + column * 4, state + column * 4
        limit = e.load(limits + column * 4, e.lanes_of(I32)) - e.splat(first.to(I32))
        largest = Variable(e, e.load(cell, kind))
        with e.loop(keys) as key:
            seen = limit.compare(">=", e.splat(key.to(I32)))
            score = e.load(at + key * pitch, kind) * factor
            e.store(at + key * pitch, score)
            largest.set(largest.get().maximum(seen.where(score, -INFINITY)))
        before, top = e.load(cell, kind), largest.get()
        base = top.compare("==", -INFINITY).where(0.0, top)
        ratio = e.exp(before - base)
        total = Variable(e, e.load(cell + pitch, kind) * ratio)
        with e.loop(keys) as key:
            seen = limit.compare(">=", e.splat(key.to(I32)))
            p = seen.where(e.exp(e.load(at + key * pitch, kind) - base), 0.0)
            e.store(at + key * pitch, p)
            total.set(total.get() + p)
        e.store(cell, top)
        e.store(cell + pitch, total.get())
        e.store(cell + pitch * 2, ratio)


def _from_int8(e: Emitter, block: Vec, scales: Vec, groups: Vec, target: Vec, pitch: Vec) -> None:
    """target f32[16, 64 * groups] = the 16 tokens of a block of an int8 page; scales: address of the first one's."""
    four = vector(F32, 4)
    with e.loop(groups) as g, e.loop(e.constant(g.type, 16)) as t:
        scale = e.load_splat(scales + g * (4 * PAGE_TOKENS) + t * 4, F32, 4)
        for line in range(CACHE_GROUP // 4):
            bytes_ = e.load(block + g * (16 * CACHE_GROUP) + t * 4 + 64 * line, vector(I8, 4))
            value = bytes_.to(I32).to(F32) * scale
            assert value.type == four
            e.store(target + t * pitch + g * (4 * CACHE_GROUP) + 16 * line, value)


def _store_int8(e: Emitter, x: Vec, block: Vec, scales: Vec, groups: Vec) -> None:
    """Writes a token x f32[64 * groups] into an int8 page, rounded; block, scales: addresses of its first ones."""
    lanes = e.isa.lanes
    with e.loop(groups) as g:
        parts = [e.load(x + g * (4 * CACHE_GROUP) + 4 * i, e.lanes_of(F32)) for i in range(0, CACHE_GROUP, lanes)]
        scale, values = int8_values(e, parts)
        e.store(scales + g * (4 * PAGE_TOKENS), scale)
        for i, v in enumerate(values):
            words = v.to(I8).bits(I32)
            for j in range(lanes // 4):
                word = words.lane(j) if lanes > 4 else words
                e.store(block + g * (16 * CACHE_GROUP) + 64 * (i * lanes // 4 + j), word)


def _int8_scores(
    e: Emitter, page: Vec, groups: Vec, q: Vec, q_pitch: Vec, s: Vec, s_pitch: Vec, heads: Vec, out: Vec
) -> None:
    """out f32[heads, 64] = queries times the 64 tokens of a page.

    Queries are q i8[heads, 64 * groups] with s f32[heads, groups, 4] (as arrays.Activation has them).
    """
    width = groups * CACHE_GROUP
    scales = page + width * PAGE_TOKENS
    with e.loop(e.constant(I64, PAGE_TOKENS), step=ROWS) as token:
        for h, count in e.strips(heads, e.isa.f32_tile):
            rows = [(q + (h + i) * q_pitch, s + (h + i) * s_pitch) for i in range(count)]
            target = out + h * (4 * PAGE_TOKENS) + token * 4
            _score_tile(e, page + token * width, scales + token * 4, groups, rows, target)


def _score_tile(e: Emitter, block: Vec, scales: Vec, groups: Vec, rows: list[tuple[Vec, Vec]], out: Vec) -> None:
    """out f32[heads, 64][:, :16] = some heads times 16 tokens; rows: addresses of each head's q and s."""
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


def _int8_softmax(
    e: Emitter, scores: Vec, heads: Vec, tokens: Vec, state: Vec, pitch: Vec,
    scales: Vec, groups: Vec, p: Vec, factors: Vec, scale: Vec, ahead: Vec, ahead_bytes: Vec,
) -> None:  # fmt: skip
    """A page's step of the online softmax: p u8[heads, groups, 64] * factors f32[heads, groups] = probability * scale.

    scores f32[heads, 64], of which the first `tokens` count, become probabilities. state f32[heads, 3]: the largest
    score, the sum, and the factor for earlier sums; pitch: bytes of its rows. scales f32[groups, 64]: of the page's
    tokens; what lies there past `tokens` is not looked at. ahead, ahead_bytes: the next page, whose first half is asked
    for meanwhile. Two loops over heads, as one would have longer chains than the CPU looks ahead.
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
        assert largest is not None
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
    """target u8[n, 64] * factors f32[n] = probabilities f32[64] * weights f32[n, 64]."""
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


def _int8_values(
    e: Emitter, page: Vec, groups: Vec, latents: Vec, heads: Vec,
    p: Vec, factors: Vec, state: Vec, out: Vec, pitch: Vec, ahead: Vec, ahead_bytes: Vec,
) -> None:  # fmt: skip
    """out f32[heads, latents] = out * (the factor in state) + probabilities times the page's tokens.

    groups: of 64 values that a token has in the page, latents and rotated ones. p u8[heads, latents / 64, 64] and
    factors f32[heads, latents / 64] are those of `_int8_softmax`. pitch: bytes of a row of out and of state. ahead,
    ahead_bytes: the next page, whose second half is asked for meanwhile.
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
    """Registers of tokens x 4 latents become registers of 4 tokens x as many latents as a register has lanes.

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
    """The micro-kernels of this file."""
    return [
        Micro("attention_scores", "iiiiiiii", _scores),
        Micro("attention_values", "iiiiiiiiiii", _values),
        Micro("attention_softmax", "iiiiiiif", _softmax),
        Micro("from_int8", "iiiii", _from_int8),
        Micro("store_int8", "iiii", _store_int8),
        Micro("int8_scores", "iiiiiiii", _int8_scores),
        Micro("int8_softmax", "iiiiiiiiifii", _int8_softmax),
        Micro("int8_values", "iiiiiiiiiii", _int8_values),
    ]
