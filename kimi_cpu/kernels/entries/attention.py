"""Attention over the paged latents in float32: absorbed here (2 regions), expanded in attention_expanded.py.

Both turn a page into f32 rows [latent | rope] once and run the same three micro-kernels over it (micro/attention.py).
Pages are taken in order, splits begin at multiples of 1,024 tokens, and every query has a column of its own: bits do
not depend on threads, chunks or neighbours.
"""

import numpy as np
from numba import from_dtype, prange, types

from ...quant.rows16 import GROUP, ROWS, pad
from .. import runtime
from ..arrays import CACHE_GROUP, PAGE_TOKENS, Cache, cache_widths
from ..codegen.jit import address, call, kernel, leaf
from ..micro.attention import COLUMNS, DEEP
from ..micro.table import INDEX, WORKERS
from .jobs import ADDRESSES, take_task

SPLIT_PAGES = 16  # 1,024 tokens: what one task of absorbed attention sums, at fixed positions
GAP = 16  # floats between rows of columns: rows a power of two apart would share a few sets of the first-level cache
KIND_OF = {"f32": 0, "f16": 1, "int8": 2}
SCORES, VALUES, SOFTMAX = (INDEX[f"attention_{name}"] for name in ("scores", "values", "softmax"))
FROM_INT8, FROM_F16, COPY, ROTATE, PUT = (INDEX[n] for n in ("from_int8", "from_f16", "copy", "rotate", "put"))
I64, F32 = types.int64, types.float32
I32_READ = types.Array(types.int32, 1, "C", readonly=True)
I32_2D_READ = types.Array(types.int32, 2, "C", readonly=True)
F32_2D_READ = types.Array(F32, 2, "C", readonly=True)
F32_3D_READ = types.Array(F32, 3, "C", readonly=True)

PAGES = np.dtype(  # one layer of the cache
    [
        ("data", "i8"),  # address of the layer in page 0
        ("page_bytes", "i8"),
        ("layer_bytes", "i8"),  # of a page, this layer's
        ("kind", "i8"),
        ("latent", "i8"),  # padded as stored
        ("rope", "i8"),
        ("row", "i8"),  # where rope begins in an f32 row: latent padded to 32 at least
    ]
)
PAGES_TYPE = types.Array(from_dtype(PAGES), 1, "C")


def plan_float(cache: Cache, heads: int, sequences: int, splits: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Room for `_absorbed` on a float cache: (partial results, each worker's buffers, floats of one worker).

    Heads are split too when there are fewer splits of the context than threads.
    """
    workers = runtime.workers()
    latent, rope = cache_widths(cache.kind, cache.latent, cache.rope)
    parts = max(1, min(-(-heads // COLUMNS), 2 * workers // (sequences * splits)))
    columns = pad(-(-heads // parts), COLUMNS)
    parts = -(-heads // columns)
    rows = latent + 3  # sums, then the softmax's state
    size = sequences * splits * parts * rows * (columns + GAP)
    sums = runtime.scratch("partial", 4 * size).view(np.float32)[:size]
    width = max(latent, pad(cache.latent, GROUP)) + rope
    each = PAGE_TOKENS * width + (width + PAGE_TOKENS) * (columns + GAP)
    space = runtime.scratch("absorbed", 4 * each * workers).view(np.float32)
    return sums.reshape(sequences, splits, parts, rows, columns + GAP), space, each


def cache_pages(cache: Cache, layer: int) -> np.ndarray:
    """One PAGES."""
    latent, rope = cache_widths(cache.kind, cache.latent, cache.rope)
    begin = cache.data.ctypes.data + layer * cache.layer_bytes
    row = max(latent, pad(cache.latent, GROUP))
    return np.array([(begin, cache.page_bytes, cache.layer_bytes, KIND_OF[cache.kind], latent, rope, row)], PAGES)


@kernel(
    types.void(
        ADDRESSES, PAGES_TYPE, I64, F32_3D_READ, F32, types.Array(F32, 3, "C"), I32_2D_READ, I32_READ,
        types.Array(F32, 5, "C"), types.Array(F32, 1, "C"), I64, I64,
    )
)  # fmt: skip
def _absorbed(micro, pages, latent, q, scale, out, block_tables, seq_lens, sums, space, each, sequences):
    """A task is one split of one sequence for a part of the heads; then one is 32 latents of a merged result."""
    workers = micro[WORKERS]
    splits, parts = sums.shape[1], sums.shape[2]
    columns = sums.shape[4] - GAP
    counter = np.zeros(2, np.int64)
    for worker in prange(workers):
        own = space[worker * each : (worker + 1) * each]
        turned = -1  # whose queries are in `own`
        while True:
            task = take_task(micro, counter[:1])
            if task >= sequences * splits * parts:
                break
            s, split, part = task // (splits * parts), task // parts % splits, task % parts
            if split * SPLIT_PAGES * PAGE_TOKENS < seq_lens[s]:
                page_rows, qt, scores = _buffers(pages[0], columns, own)
                if turned != s * parts + part:
                    turned = s * parts + part
                    _turn_queries(pages[0], latent, q[s, part * columns : (part + 1) * columns], qt)
                own_sums = sums[s, split, part]
                _split(micro, pages[0], block_tables[s], seq_lens[s], split, scale, qt, own_sums, page_rows, scores)
    blocks = (latent + GROUP - 1) // GROUP
    for _ in prange(workers):
        while True:
            task = take_task(micro, counter[1:])
            if task >= sequences * blocks:
                break
            s, begin = task // blocks, task % blocks * GROUP
            used = (seq_lens[s] + SPLIT_PAGES * PAGE_TOKENS - 1) // (SPLIT_PAGES * PAGE_TOKENS)
            for part in range(parts):
                merged = out[s, part * columns : (part + 1) * columns]
                _merge(sums[s, :used, part], begin, min(begin + GROUP, latent), merged)


@leaf
def _buffers(pages, columns, space):
    """What a worker has: a page's rows f32[64, width], queries turned f32[width, columns + GAP], and scores."""
    width, pitch = pages.row + pages.rope, columns + GAP
    page_rows = space[: PAGE_TOKENS * width].reshape(PAGE_TOKENS, width)
    qt = space[PAGE_TOKENS * width : (PAGE_TOKENS + pitch) * width].reshape(width, pitch)
    return page_rows, qt, space[(PAGE_TOKENS + pitch) * width :]


@leaf
def _turn_queries(pages, latent, q, qt):
    """qt = q^T of f32[heads, L + R], each part padded as in the page's rows."""
    qt[:] = 0
    for h in range(len(q)):
        for i in range(latent):
            qt[i, h] = q[h, i]
        for i in range(q.shape[1] - latent):
            qt[pages.row + i, h] = q[h, latent + i]


@leaf
def _split(micro, pages, table, length, split, scale, qt, sums, page_rows, scores):
    """One sequence's heads over one split; sums f32[L padded + 3, columns + GAP]: results and the softmax's state."""
    columns, width = sums.shape[1] - GAP, pages.row + pages.rope
    pitch = sums.shape[1] * 4
    limits = np.full(columns, length - 1, np.int32)
    sums[:] = 0
    sums[pages.latent] = -np.inf
    state = address(sums[pages.latent])
    stop = min((split + 1) * SPLIT_PAGES, (length + PAGE_TOKENS - 1) // PAGE_TOKENS)
    for index in range(split * SPLIT_PAGES, stop):
        first, ahead = index * PAGE_TOKENS, pages.data + table[min(index + 1, stop - 1)] * pages.page_bytes
        load_page(micro, pages, table[index], length - first, page_rows)
        k, s, keys = address(page_rows), address(scores), keys_of(length - first)
        call(micro[SCORES], (address(qt), pitch, k, width * 4, width, keys, s, columns))
        call(micro[SOFTMAX], (s, pitch, keys, first, address(limits), state, columns, np.float32(scale)))
        out, factor = address(sums), state + 2 * pitch
        call(
            micro[VALUES],
            (s, pitch, k, width * 4, keys, pages.latent, out, factor, columns, ahead, pages.layer_bytes),
        )


@leaf
def _merge(parts, begin, end, out):
    """out f32[heads, L][:, begin:end] from the splits' sums f32[splits, rows, columns], in order."""
    splits, rows, columns = parts.shape
    top, total, share = np.empty(columns, np.float32), np.empty(columns, np.float32), np.empty(columns, np.float32)
    heads = len(out)
    top[:] = -np.inf
    total[:] = 0
    for i in range(splits):
        for h in range(heads):
            top[h] = max(top[h], parts[i, rows - 3, h])
    for i in range(splits):
        for h in range(heads):
            total[h] += np.exp(parts[i, rows - 3, h] - top[h]) * parts[i, rows - 2, h]
    sums = np.zeros((end - begin, heads), np.float32)
    for i in range(splits):
        for h in range(heads):
            share[h] = np.exp(parts[i, rows - 3, h] - top[h]) / total[h]
        for d in range(begin, end):
            for h in range(heads):
                sums[d - begin, h] += share[h] * parts[i, d, h]
    for h in range(heads):
        for d in range(begin, end):
            out[h, d] = sums[d - begin, h]


@leaf
def keys_of(tokens):
    """Rows of a page to go over when a sequence has `tokens` from its beginning on: whole tiles of scores."""
    return min(PAGE_TOKENS, (tokens + DEEP - 1) // DEEP * DEEP)


@leaf
def load_page(micro, pages, page, tokens, rows):
    """One layer of a page as f32 rows [latent, rope]; rows past the sequence's tokens are zero."""
    begin, width = pages.data + page * pages.page_bytes, pages.latent + pages.rope
    rows[:, pages.latent : pages.row] = 0
    if pages.kind == 2:
        for block in range(PAGE_TOKENS // ROWS):
            at = begin + block * ROWS * width
            scales, target = begin + PAGE_TOKENS * width + block * ROWS * 4, address(rows[block * ROWS])
            call(micro[FROM_INT8], (at, scales, pages.latent // CACHE_GROUP, target, rows.shape[1] * 4))
            at += ROWS * pages.latent
            scales += pages.latent // CACHE_GROUP * PAGE_TOKENS * 4
            call(micro[FROM_INT8], (at, scales, pages.rope // CACHE_GROUP, target + pages.row * 4, rows.shape[1] * 4))
    else:
        convert = micro[FROM_F16] if pages.kind == 1 else micro[COPY]
        value_bytes = 2 if pages.kind == 1 else 4
        for t in range(min(PAGE_TOKENS, tokens)):
            at = begin + t * width * value_bytes
            call(convert, (at, address(rows[t]), pages.latent))
            call(convert, (at + pages.latent * value_bytes, address(rows[t]) + pages.row * 4, pages.rope))
    if tokens < PAGE_TOKENS:
        rows[max(tokens, 0) :] = 0
