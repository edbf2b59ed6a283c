"""Micro-kernels of attention in float32, and of the cache's pages.

Queries are lanes: scores, probabilities and outputs are stored [key or dimension, query], so that softmax needs no sums
across a register and one routine serves both forms of attention: 64 heads of one token (absorbed) or many tokens of one
head (expanded). Columns (queries) come in multiples of 16, keys in pages of 64.
"""

from math import lcm

from ..arrays import CACHE_GROUP, PAGE_TOKENS
from ..codegen.native import Micro
from .matmul import int8_values
from .simd import F32, I8, I32, Emitter, Variable, Vec, vector

COLUMNS = 16  # queries come in multiples of this
DEEP = 4  # keys of a score tile, dimensions of a value tile
QUERY_BYTES = 12_288  # of a block of columns, which stay in the first-level cache beside the keys
INFINITY = float("inf")


def _column_blocks(e: Emitter, columns: Vec):
    """(first column, registers) for blocks of columns: as wide as the registers allow, then of 16."""
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
    """out f32[keys, columns] (rows q_pitch apart) = k f32[keys, dims] q f32[dims, columns].

    As many dimensions at a time as leave the queries in the first-level cache while all keys pass.
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
    """out f32[dims, columns] = out * factor f32[columns] + v^T p; p, out: rows `pitch` apart; v f32[keys, dims].

    ahead: bytes that are asked for meanwhile.
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
    """One step of the online softmax (Milakov and Gimelshein, 2018): s f32[keys, columns] becomes e^(scale s - max).

    Key i counts for a column whose limit (i32, the last key it sees) is at least first + i. state f32[3, columns] (rows
    `pitch` apart): the largest score and the sum so far, both updated, and the factor for what was summed before.
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
    """target f32[16 tokens, 64 * groups] = one block of an int8 page; scales: of its first token and group."""
    four = vector(F32, 4)
    with e.loop(groups) as g, e.loop(e.constant(g.type, 16)) as t:
        scale = e.load_splat(scales + g * (4 * PAGE_TOKENS) + t * 4, F32, 4)
        for line in range(CACHE_GROUP // 4):
            bytes_ = e.load(block + g * (16 * CACHE_GROUP) + t * 4 + 64 * line, vector(I8, 4))
            value = bytes_.to(I32).to(F32) * scale
            assert value.type == four
            e.store(target + t * pitch + g * (4 * CACHE_GROUP) + 16 * line, value)


def _store_int8(e: Emitter, x: Vec, block: Vec, scales: Vec, groups: Vec) -> None:
    """One token x f32[64 * groups] into an int8 page: block, scales: addresses of its first bytes."""
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


def micros() -> list[Micro]:
    """All of this file."""
    return [
        Micro("attention_scores", "iiiiiiii", _scores),
        Micro("attention_values", "iiiiiiiiiii", _values),
        Micro("attention_softmax", "iiiiiiif", _softmax),
        Micro("from_int8", "iiiii", _from_int8),
        Micro("store_int8", "iiii", _store_int8),
    ]
