"""Absorbed attention over the paged latents: `attend_absorbed`, and what attention_expanded.py shares with it.

On a float cache, a page becomes f32 rows [latent | rope] once, and the same three micro-kernels run over it in both
forms; on an int8 cache, absorbed attention multiplies the page's bytes as they are (micro/attention.py). Pages are
taken in order, splits begin at multiples of 1,024 tokens, and every query has a column (or a row) of its own: bits do
not depend on threads, chunks or neighbours.
"""

import numpy as np
from numba import from_dtype, prange, types

from ...quant.rows16 import GROUP, ROWS, pad
from .. import runtime
from ..arrays import CACHE_GROUP, PAGE_TOKENS, Cache, cache_widths
from ..codegen.jit import Call, Rows, StepArg, address, call, kernel, leaf
from ..micro import INDEX, SIZE, WORKERS
from ..micro.attention import COLUMNS, DEEP
from . import ADDRESSES, GROUP_BYTES, matrix, next_task, shares, take_task

SPLIT_PAGES = 16  # what one task of absorbed attention sums, at fixed positions
SPLIT_TOKENS = SPLIT_PAGES * PAGE_TOKENS
GAP = 16  # floats between rows of columns: rows a power of two apart would share a few sets of the first-level cache
KIND_OF = {"f32": 0, "f16": 1, "int8": 2}
SCORES, VALUES, SOFTMAX = (INDEX[f"attention_{name}"] for name in ("scores", "values", "softmax"))
INT8_SCORES, INT8_SOFTMAX, INT8_VALUES = (INDEX[f"int8_{name}"] for name in ("scores", "softmax", "values"))
STAGGER = SIZE["stagger"]
QUANTIZE_64 = INDEX[f"quantize_{CACHE_GROUP}"]
SUMS_BYTES = 32 << 20  # of the partial results of all sequences that are attended to at once: at most, but for one's
STATE = 16  # floats after a head's sums: largest score, sum, factor; 16 keep rows from sharing cache sets
HEADS = 16  # of one task at least on an int8 cache, so that a page's transposition is shared
PAGE_READS = 2  # so often may every page be read so that each thread has heads of its own, and no sums of another one
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


def attend_absorbed(
    q: np.ndarray,
    cache: Cache,
    layer: int,
    block_tables: np.ndarray | StepArg,
    seq_lens: np.ndarray | StepArg,
    scale: float,
    out: np.ndarray,
    plan: tuple | None = None,
    rows: Rows = None,
) -> Call:
    """out f32[S, A, L] = softmax(scale q c) c over the seq_lens[s] cached tokens c of each sequence; 2 regions, again
    for every so many sequences as SUMS_BYTES hold.

    q f32[S, A, L + R], block_tables i32[S, B], seq_lens i32[S]; plan: `plan_absorbed`, by default for these sequences.
    Queries and probabilities are rounded to 8 bits when the cache is int8; otherwise all is f32.
    """
    if plan is None:
        assert isinstance(seq_lens, np.ndarray), "sequences that change from step to step need a plan"
        plan = plan_absorbed(cache, q.shape[1], len(seq_lens), num_splits(seq_lens))
    entry = _absorbed_int8 if cache.kind == "int8" else _absorbed
    fixed = runtime.context(), cache_pages(cache, layer), cache.latent, q, scale, out
    return Call(entry, (*fixed, block_tables, seq_lens, *plan), rows, len(q))


def num_splits(seq_lens: np.ndarray) -> int:
    """Number of splits of the longest sequence."""
    return -(-int(seq_lens.max()) // SPLIT_TOKENS)


def plan_absorbed(cache: Cache, heads: int, sequences: int, splits: int) -> tuple:
    """Room for `attend_absorbed` in a step, the same for all layers: the last arguments of its entry."""
    plan = _plan_int8 if cache.kind == "int8" else _plan_float
    return plan(cache, heads, sequences, splits)


def _plan_int8(cache: Cache, heads: int, sequences: int, splits: int) -> tuple[np.ndarray, int, np.ndarray, int]:
    """Room for `_absorbed_int8`: (partial results, parts of the heads, each worker's buffers, bytes of one worker)."""
    latent, rope = cache_widths(cache.kind, cache.latent, cache.rope)
    sequences = _at_once(sequences, 4 * splits * heads * (latent + STATE))
    groups, workers, most = (latent + rope) // CACHE_GROUP, runtime.workers(), heads // HEADS
    parts = workers if workers <= min(most, PAGE_READS) else max(1, min(most, 2 * workers // (sequences * splits)))
    size = sequences * splits * heads * (latent + STATE)
    sums = runtime.scratch("partial", 4 * size).view(np.float32)[:size]
    each = pad(-(-heads // parts) * (groups * (2 * CACHE_GROUP + GROUP_BYTES + 4) + 4 * PAGE_TOKENS), 64)
    space = runtime.scratch("absorbed", each * workers)
    return sums.reshape(sequences, splits, heads, latent + STATE), parts, space, each


def _plan_float(cache: Cache, heads: int, sequences: int, splits: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Room for `_absorbed`: (partial results, each worker's buffers, floats of one worker).

    Heads are split too when there are fewer splits of the context than threads.
    """
    workers = runtime.workers()
    latent, rope = cache_widths(cache.kind, cache.latent, cache.rope)
    rows = latent + 3  # sums, then the softmax's state
    sequences = _at_once(sequences, 4 * splits * rows * (pad(heads, COLUMNS) + GAP))
    parts = max(1, min(-(-heads // COLUMNS), 2 * workers // (sequences * splits)))
    columns = pad(-(-heads // parts), COLUMNS)
    parts = -(-heads // columns)
    size = sequences * splits * parts * rows * (columns + GAP)
    sums = runtime.scratch("partial", 4 * size).view(np.float32)[:size]
    width = max(latent, pad(cache.latent, GROUP)) + rope
    each = PAGE_TOKENS * width + (width + PAGE_TOKENS) * (columns + GAP)
    space = runtime.scratch("absorbed", 4 * each * workers).view(np.float32)
    return sums.reshape(sequences, splits, parts, rows, columns + GAP), space, each


def _at_once(sequences: int, sums_bytes: int) -> int:
    """How many of the sequences are attended to at once. sums_bytes: of the partial results of one."""
    return max(1, min(sequences, SUMS_BYTES // sums_bytes))


def cache_pages(cache: Cache, layer: int) -> np.ndarray:
    """PAGES[1]: one layer of the cache, as entries take it."""
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
    """out f32[S, A, L] from q f32[S, A, L + R] on a float cache, for the first `sequences` rows.

    block_tables i32[S, B], seq_lens i32[S]; sums, space, each: `_plan_float`. A task is one split of one sequence for a
    part of the heads; in the second region it is 32 latents of a merged result.
    """
    workers = micro[WORKERS]
    room, splits, parts = sums.shape[0], sums.shape[1], sums.shape[2]
    columns = sums.shape[4] - GAP
    blocks = (latent + GROUP - 1) // GROUP
    for first in range(0, sequences, room):
        some = min(room, sequences - first)
        counter = np.zeros(2, np.int64)
        for worker in prange(workers):
            own = space[worker * each : (worker + 1) * each]
            turned = -1  # whose queries are in `own`
            while True:
                task = take_task(micro, counter[:1])
                if task >= some * splits * parts:
                    break
                at, split, part = task // (splits * parts), task // parts % splits, task % parts
                s = first + at
                if split * SPLIT_TOKENS < seq_lens[s]:
                    page_rows, qt, scores = _buffers(pages[0], columns, own)
                    if turned != s * parts + part:
                        turned = s * parts + part
                        _turn_queries(pages[0], latent, q[s, part * columns : (part + 1) * columns], qt)
                    own_sums = sums[at, split, part]
                    _split(micro, pages[0], block_tables[s], seq_lens[s], split, scale, qt, own_sums, page_rows, scores)
        for _ in prange(workers):
            while True:
                task = take_task(micro, counter[1:])
                if task >= some * blocks:
                    break
                at, begin = task // blocks, task % blocks * GROUP
                s = first + at
                used = (seq_lens[s] + SPLIT_TOKENS - 1) // SPLIT_TOKENS
                for part in range(parts):
                    merged = out[s, part * columns : (part + 1) * columns]
                    _merge(sums[at, :used, part], begin, min(begin + GROUP, latent), merged)


@leaf
def _buffers(pages, columns, space):
    """A worker's buffers: a page's rows f32[64, width], queries turned f32[width, columns + GAP], and scores f32[n]."""
    width, pitch = pages.row + pages.rope, columns + GAP
    page_rows, qt = matrix(space, 0, PAGE_TOKENS, width), matrix(space, PAGE_TOKENS * width, width, pitch)
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
    """sums f32[L padded + 3, columns + GAP] = some heads of one sequence over one split, and the softmax's state."""
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
    """Rows of a page to go over when a sequence has `tokens` from the page's first on: whole tiles of scores."""
    return min(PAGE_TOKENS, (tokens + DEEP - 1) // DEEP * DEEP)


@leaf
def load_page(micro, pages, page, tokens, rows):
    """rows f32[64, width] = one layer of a page as [latent | rope]; those past the sequence's tokens are zero."""
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


@kernel(
    types.void(
        ADDRESSES, PAGES_TYPE, I64, F32_3D_READ, F32, types.Array(F32, 3, "C"), I32_2D_READ, I32_READ,
        types.Array(F32, 4, "C"), I64, types.Array(types.uint8, 1, "C"), I64, I64,
    )
)  # fmt: skip
def _absorbed_int8(micro, pages, latent, q, scale, out, block_tables, seq_lens, sums, parts, space, each, sequences):
    """out f32[S, A, L] from q f32[S, A, L + R] on an int8 cache, for the first `sequences` rows.

    block_tables i32[S, B], seq_lens i32[S]; sums, parts, space, each: `_plan_int8`. A task is one split of one sequence
    for a part of the heads; in the second region it is one head's merged result. Parts begin at different splits: two
    cores that ask for a line at the same time get it later than from memory.
    """
    workers = micro[WORKERS]
    room, splits, heads, _ = sums.shape
    size = (heads + parts - 1) // parts
    for first in range(0, sequences, room):
        some = min(room, sequences - first)
        taken, merged = shares(workers), shares(workers)
        for worker in prange(workers):
            own = space[worker * each : (worker + 1) * each]
            rounded = -1  # whose queries are in `own`
            while True:
                task = next_task(micro, taken, worker, some * splits * parts)
                if task == some * splits * parts:
                    break
                part, at = task // (some * splits), task // splits % some
                h, split = part * size, (task + micro[STAGGER] * (part * splits // parts)) % splits
                s = first + at
                if split * SPLIT_TOKENS < seq_lens[s] and h < heads:
                    queries, own_sums = q[s, h : h + size], sums[at, split, h : h + size]
                    if rounded != s * heads + h:
                        rounded = s * heads + h
                        _round_queries(micro, pages[0], latent, queries, own)
                    _split_int8(micro, pages[0], block_tables[s], seq_lens[s], split, scale, own_sums, own)
        for worker in prange(workers):
            while True:
                task = next_task(micro, merged, worker, some * heads)
                if task == some * heads:
                    break
                h, at = task // some, task % some
                s = first + at
                _merge_int8(sums[at, : (seq_lens[s] + SPLIT_TOKENS - 1) // SPLIT_TOKENS, h], out[s, h])


@leaf
def _addresses(pages, heads, space):
    """Addresses of a worker's queries as integers, of their scales and sums, scores, probabilities, and factors."""
    groups = (pages.latent + pages.rope) // CACHE_GROUP
    scores = address(space) + heads * groups * CACHE_GROUP
    p = scores + heads * PAGE_TOKENS * 4
    s = p + heads * groups * PAGE_TOKENS
    return address(space), s, scores, p, s + heads * groups * GROUP_BYTES


@leaf
def _round_queries(micro, pages, latent, q, space):
    """Rounds queries q f32[heads, L + R] to bytes, in `space`."""
    groups = (pages.latent + pages.rope) // CACHE_GROUP
    integers, s, _, _, _ = _addresses(pages, len(q), space)
    x = np.zeros(groups * CACHE_GROUP, np.float32)
    for h in range(len(q)):
        for i in range(latent):
            x[i] = q[h, i]
        for i in range(q.shape[1] - latent):
            x[pages.latent + i] = q[h, latent + i]
        at = integers + h * groups * CACHE_GROUP
        call(micro[QUANTIZE_64], (address(x), at, s + h * groups * GROUP_BYTES, groups))


@leaf
def _split_int8(micro, pages, table, length, split, scale, sums, space):
    """sums f32[heads, L padded + STATE] = some heads of one sequence, rounded in `space`, over one split."""
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
        call(micro[INT8_SCORES], (page, groups, integers, q_pitch, s, s_pitch, heads, scores))
        call(
            micro[INT8_SOFTMAX],
            (scores, heads, tokens, state, pitch, scales, latent_groups, p, factors, scale, ahead, pages.layer_bytes),
        )
        call(
            micro[INT8_VALUES],
            (page, groups, pages.latent, heads, p, factors, state, address(sums), pitch, ahead, pages.layer_bytes),
        )


@leaf
def _merge_int8(parts, out):
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
