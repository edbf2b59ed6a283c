"""`attend_absorbed`: on an int8 cache with products of bytes (micro/int8_attention.py), else in f32 (attention.py)."""

import numpy as np
from numba import prange, types

from ...quant.rows16 import pad
from .. import runtime
from ..arrays import CACHE_GROUP, PAGE_TOKENS, Cache, cache_widths
from ..codegen.jit import Call, Rows, address, call, kernel, leaf
from ..micro.table import INDEX, WORKERS
from .attention import (
    F32,
    F32_3D_READ,
    I32_2D_READ,
    I32_READ,
    I64,
    PAGES_TYPE,
    SPLIT_PAGES,
    _absorbed,
    cache_pages,
    plan_float,
)
from .jobs import ADDRESSES, GROUP_BYTES, next_task, shares

SCORES, SOFTMAX, VALUES, QUANTIZE = (
    INDEX[name] for name in ("int8_scores", "int8_softmax", "int8_values", f"quantize_{CACHE_GROUP}")
)
STATE = 16  # floats after a head's sums: largest score, sum, factor; 16 keep rows from sharing cache sets
HEADS = 16  # of one task at least, so that a page's transposition is shared
PAGE_READS = 2  # so often may every page be read so that each thread has heads of its own, and no sums of another one
SPLIT_TOKENS = SPLIT_PAGES * PAGE_TOKENS
U8 = types.Array(types.uint8, 1, "C")


def attend_absorbed(
    q: np.ndarray,
    cache: Cache,
    layer: int,
    block_tables: np.ndarray,
    seq_lens: np.ndarray,
    scale: float,
    out: np.ndarray,
    plan: tuple | None = None,
    rows: Rows = None,
) -> Call:
    """out f32[S, A, L] = softmax(scale q c) c over the seq_lens[s] cached tokens c of each sequence; 2 regions.

    q f32[S, A, L + R], block_tables i32[S, B], seq_lens i32[S]; plan: `plan_absorbed`, by default for these sequences.
    Queries and probabilities are rounded to 8 bits when the cache is int8; otherwise all is f32.
    """
    if plan is None:
        plan = plan_absorbed(cache, q.shape[1], len(seq_lens), num_splits(seq_lens))
    entry = _absorbed_int8 if cache.kind == "int8" else _absorbed
    fixed = runtime.context(), cache_pages(cache, layer), cache.latent, q, scale, out
    return Call(entry, (*fixed, block_tables, seq_lens, *plan), rows, len(q))


def num_splits(seq_lens: np.ndarray) -> int:
    """Number of splits of the longest sequence."""
    return -(-int(seq_lens.max()) // SPLIT_TOKENS)


def plan_absorbed(cache: Cache, heads: int, sequences: int, splits: int) -> tuple:
    """Room for `attend_absorbed` in a step, the same for all layers: the last arguments of its entry."""
    if cache.kind != "int8":
        return plan_float(cache, heads, sequences, splits)
    latent, rope = cache_widths(cache.kind, cache.latent, cache.rope)
    groups, workers, most = (latent + rope) // CACHE_GROUP, runtime.workers(), heads // HEADS
    parts = workers if workers <= min(most, PAGE_READS) else max(1, min(most, 2 * workers // (sequences * splits)))
    size = sequences * splits * heads * (latent + STATE)
    sums = runtime.scratch("partial", 4 * size).view(np.float32)[:size]
    each = pad(-(-heads // parts) * (groups * (2 * CACHE_GROUP + GROUP_BYTES + 4) + 4 * PAGE_TOKENS), 64)
    space = runtime.scratch("absorbed", each * workers)
    return sums.reshape(sequences, splits, heads, latent + STATE), parts, space, each


@kernel(
    types.void(
        ADDRESSES, PAGES_TYPE, I64, F32_3D_READ, F32, types.Array(F32, 3, "C"), I32_2D_READ, I32_READ,
        types.Array(F32, 4, "C"), I64, U8, I64, I64,
    )
)  # fmt: skip
def _absorbed_int8(micro, pages, latent, q, scale, out, block_tables, seq_lens, sums, parts, space, each, sequences):
    """A task is one split of one sequence for a part of the heads; then one is one head's merged result.

    Parts begin at different splits: two cores that ask for one line at a time get it later than from memory.
    """
    workers = micro[WORKERS]
    _, splits, heads, _ = sums.shape
    size = (heads + parts - 1) // parts
    taken, merged = shares(workers), shares(workers)
    for worker in prange(workers):
        own = space[worker * each : (worker + 1) * each]
        rounded = -1  # whose queries are in `own`
        while True:
            task = next_task(micro, taken, worker, sequences * splits * parts)
            if task == sequences * splits * parts:
                break
            part, s = task // (sequences * splits), task // splits % sequences
            h, split = part * size, (task + part * splits // parts) % splits
            if split * SPLIT_TOKENS < seq_lens[s] and h < heads:
                some, own_sums = q[s, h : h + size], sums[s, split, h : h + size]
                if rounded != s * heads + h:
                    rounded = s * heads + h
                    _round_queries(micro, pages[0], latent, some, own)
                _split(micro, pages[0], block_tables[s], seq_lens[s], split, scale, own_sums, own)
    for worker in prange(workers):
        while True:
            task = next_task(micro, merged, worker, sequences * heads)
            if task == sequences * heads:
                break
            h, s = task // sequences, task % sequences
            _merge(sums[s, : (seq_lens[s] + SPLIT_TOKENS - 1) // SPLIT_TOKENS, h], out[s, h])


@leaf
def _addresses(pages, heads, space):
    """Where a worker has its queries as integers, what goes with them, scores, probabilities and their factors."""
    groups = (pages.latent + pages.rope) // CACHE_GROUP
    scores = address(space) + heads * groups * CACHE_GROUP
    p = scores + heads * PAGE_TOKENS * 4
    s = p + heads * groups * PAGE_TOKENS
    return address(space), s, scores, p, s + heads * groups * GROUP_BYTES


@leaf
def _round_queries(micro, pages, latent, q, space):
    """Queries f32[heads, L + R] to bytes."""
    groups = (pages.latent + pages.rope) // CACHE_GROUP
    integers, s, _, _, _ = _addresses(pages, len(q), space)
    x = np.zeros(groups * CACHE_GROUP, np.float32)
    for h in range(len(q)):
        x[:latent] = q[h, :latent]
        x[pages.latent : pages.latent + q.shape[1] - latent] = q[h, latent:]
        at = integers + h * groups * CACHE_GROUP
        call(micro[QUANTIZE], (address(x), at, s + h * groups * GROUP_BYTES, groups))


@leaf
def _split(micro, pages, table, length, split, scale, sums, space):
    """Some heads of one sequence, rounded, over one split; sums f32[heads, L padded + STATE]."""
    heads, pitch = len(sums), sums.shape[1] * 4
    latent_groups, groups = pages.latent // CACHE_GROUP, (pages.latent + pages.rope) // CACHE_GROUP
    integers, s, scores, p, factors = _addresses(pages, heads, space)
    sums[:] = 0
    sums[:, pages.latent] = -np.inf
    state = address(sums) + pages.latent * 4
    q_pitch, s_pitch = groups * CACHE_GROUP, groups * GROUP_BYTES
    stop = min((split + 1) * SPLIT_PAGES, (length + PAGE_TOKENS - 1) // PAGE_TOKENS)
    for index in range(split * SPLIT_PAGES, stop):
        ahead = pages.data + table[min(index + 1, stop - 1)] * pages.page_bytes
        page = pages.data + table[index] * pages.page_bytes
        tokens, scales = min(PAGE_TOKENS, length - index * PAGE_TOKENS), page + PAGE_TOKENS * groups * CACHE_GROUP
        call(micro[SCORES], (page, groups, integers, q_pitch, s, s_pitch, heads, scores))
        call(
            micro[SOFTMAX],
            (scores, heads, tokens, state, pitch, scales, latent_groups, p, factors, scale, ahead, pages.layer_bytes),
        )
        call(
            micro[VALUES],
            (page, groups, pages.latent, heads, p, factors, state, address(sums), pitch, ahead, pages.layer_bytes),
        )


@leaf
def _merge(parts, out):
    """out f32[L] of one head from the splits' sums f32[splits, L padded + STATE], in order."""
    splits, at = len(parts), parts.shape[1] - STATE
    top = -np.float32(np.inf)
    for i in range(splits):
        top = max(top, parts[i, at])
    total = np.float32(0)
    for i in range(splits):
        total += np.exp(parts[i, at] - top) * parts[i, at + 1]
    out[:] = 0
    for i in range(splits):
        share = np.exp(parts[i, at] - top) / total
        for d in range(len(out)):
            out[d] += share * parts[i, d]
