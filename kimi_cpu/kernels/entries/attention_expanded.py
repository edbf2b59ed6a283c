"""`attend_expanded`: attention of prompt chunks, with keys and values rebuilt from the latents page by page."""

import numpy as np
from numba import prange, types

from ...quant.rows16 import GROUP, ROWS, Matrix, pad
from .. import runtime
from ..arrays import PAGE_TOKENS, Activation, Cache
from ..codegen.jit import Call, Rows, StepArg, address, call, kernel, leaf
from ..micro import WORKERS
from . import (
    ADDRESSES,
    GROUP_BYTES,
    JOB,
    JOBS,
    OUTS,
    QUANTIZE,
    TILE,
    check_rows,
    is_stopped,
    matrix,
    output,
    quantize_rows,
    take_task,
)
from . import weights as job_weights
from .attention import (
    COLUMNS,
    F32,
    F32_2D_READ,
    F32_3D_READ,
    GAP,
    I32_2D_READ,
    I32_READ,
    I64,
    PAGES_TYPE,
    PUT,
    ROTATE,
    SCORES,
    SOFTMAX,
    VALUES,
    cache_pages,
    keys_of,
    load_page,
)
from .matmul import linear_blocks

QUERIES = 512  # tokens of one task: their queries and sums stay in the second-level cache


def attend_expanded(
    k_b: Matrix,
    v_b: Matrix,
    q: np.ndarray,
    cos: np.ndarray,
    sin: np.ndarray,
    query_start_loc: np.ndarray | StepArg,
    seq_lens: np.ndarray | StepArg,
    cache: Cache,
    layer: int,
    block_tables: np.ndarray | StepArg,
    scale: float,
    out: Activation,
    rows: Rows = None,
) -> Call:
    """out.x f32[T, A * V] = causal attention of prompt chunks over their sequences' cached tokens, quantised too.

    q f32[T, A, N + R], not yet rotated; cos, sin f32[T, R / 2]. Rows query_start_loc[s]..query_start_loc[s+1]-1 are the
    last tokens of the seq_lens[s] of sequence s; query_start_loc[0] may be any row. k_b [A * pad16(N), L],
    v_b [A * pad16(V), L]. 1 region; 2 when quantised.
    """
    tokens, heads, _ = q.shape
    check_rows(out.x, tokens, out.cols)
    pages = cache_pages(cache, layer)
    jobs = np.array([_job(w, heads, out.q is not None) for w in (k_b, v_b)], JOB)
    columns = pad(min(QUERIES, tokens), COLUMNS)
    page_width, key, value = int(pages[0]["row"] + pages[0]["rope"]), pad(k_b.rows // heads, 16), v_b.rows // heads
    key += int(pages[0]["rope"])
    each = PAGE_TOKENS * (page_width + key + value + 2 * pad(cache.latent, GROUP)) + (columns + GAP) * (
        key + value + PAGE_TOKENS + 4
    )
    space = runtime.scratch("expanded", 4 * each * runtime.workers()).view(np.float32)
    queries = q, cos, sin, query_start_loc, seq_lens, block_tables, scale
    return Call(_expanded, (runtime.context(), pages, jobs, *queries, output(out), space, each), rows, tokens)


def _job(w: Matrix, heads: int, int8: bool) -> tuple:
    """A row of JOB for one head, whose inputs have no address yet; s says only whether they are quantised."""
    weights = job_weights(w.kind, w.cols, int8, w.data.ctypes.data, w.rows // heads)
    return *weights, 0, 0, int8 and w.kind != "bf16", 0, 0, 0


@kernel(
    types.void(
        ADDRESSES, PAGES_TYPE, JOBS, F32_3D_READ, F32_2D_READ, F32_2D_READ, I32_READ, I32_READ,
        I32_2D_READ, F32, OUTS, types.Array(F32, 1, "C"), I64, I64,
    )
)  # fmt: skip
def _expanded(micro, pages, jobs, q, cos, sin, starts, seq_lens, block_tables, scale, outs, space, each, tokens):
    """`attend_expanded` for `tokens` rows from starts[0] on; a task is one head of up to 512 tokens of one sequence."""
    workers, heads, first_row = micro[WORKERS], q.shape[1], starts[0]
    sequences = 0
    while starts[sequences] < first_row + tokens:
        sequences += 1
    first_task = np.zeros(sequences + 1, np.int64)
    for s in range(sequences):
        first_task[s + 1] = first_task[s] + heads * ((starts[s + 1] - starts[s] + QUERIES - 1) // QUERIES)
    counter = np.zeros(1, np.int64)
    for worker in prange(workers):
        own = space[worker * each : (worker + 1) * each]
        while True:
            task = take_task(micro, counter)
            if task >= first_task[sequences]:
                break
            s = 0
            while task >= first_task[s + 1]:
                s += 1
            h, part = (task - first_task[s]) % heads, (task - first_task[s]) // heads
            begin = starts[s] + part * QUERIES
            end = min(begin + QUERIES, starts[s + 1])
            position = seq_lens[s] - starts[s + 1] + begin
            _head(
                micro, pages[0], jobs, q[begin:end], h, cos[begin:end], sin[begin:end], position,
                block_tables[s], scale, outs[0], begin, own,
            )  # fmt: skip
    if outs[0].q != 0:
        for t in prange(tokens):
            quantize_rows(micro, outs[0], first_row + t, 1, 0, outs[0].groups)


@leaf
def _head(micro, pages, jobs, q, h, cos, sin, position, table, scale, out, row, space):
    """One head for tokens q f32[n, A, N + R], the first at `position`; result into rows `row`.. of a ROWS_OUT."""
    tokens, heads, _ = q.shape
    columns = (tokens + COLUMNS - 1) // COLUMNS * COLUMNS
    row_columns = columns + GAP
    pitch = row_columns * 4
    nope, value = jobs[0].rows, jobs[1].rows  # padded to 16
    key, width = nope + pages.rope, pages.row + pages.rope
    page_rows = matrix(space, 0, PAGE_TOKENS, width)
    at = PAGE_TOKENS * width
    k = matrix(space, at, PAGE_TOKENS, key)
    at += PAGE_TOKENS * key
    v = matrix(space, at, PAGE_TOKENS, value)
    at += PAGE_TOKENS * value
    inputs = space[at:]
    at += PAGE_TOKENS * 2 * jobs[0].groups * GROUP
    qt = matrix(space, at, key, row_columns)
    at += key * row_columns
    sums = matrix(space, at, value, row_columns)
    at += value * row_columns
    state = matrix(space, at, 3, row_columns)
    at += 3 * row_columns
    scores = space[at:]
    _queries(micro, q, h, cos, sin, nope, qt)
    sums[:] = 0
    state[:] = 0
    state[0] = -np.inf
    limits = np.full(columns, -1, np.int32)
    for t in range(tokens):
        limits[t] = position + t
    last = position + tokens
    for index in range((last + PAGE_TOKENS - 1) // PAGE_TOKENS):
        if is_stopped(micro):
            return
        first = index * PAGE_TOKENS
        load_page(micro, pages, table[index], last - first, page_rows)
        _expand(micro, jobs, h, page_rows, inputs, k, v)
        for t in range(PAGE_TOKENS):
            for i in range(pages.rope):
                k[t, nope + i] = page_rows[t, pages.row + i]
        skip = max(0, first - position) // COLUMNS * COLUMNS  # columns before it see nothing of this page
        n, s, keys = columns - skip, address(scores) + 4 * skip, keys_of(last - first)
        call(micro[SCORES], (address(qt) + 4 * skip, pitch, address(k), key * 4, key, keys, s, n))
        at_state = address(state) + 4 * skip
        seen = address(limits) + 4 * skip
        call(micro[SOFTMAX], (s, pitch, keys, first, seen, at_state, n, np.float32(scale)))
        target = address(sums) + 4 * skip
        call(micro[VALUES], (s, pitch, address(v), value * 4, keys, value, target, at_state + 2 * pitch, n, 0, 0))
    _finish(micro, sums, state[1], out, row, tokens, h, out.cols // heads)


@leaf
def _queries(micro, q, h, cos, sin, nope, qt):
    """One head's queries as columns, the last R rotated; qt f32[padded N + padded R, columns]."""
    tokens, _, width = q.shape
    rope = 2 * cos.shape[1]
    rotated = np.empty(rope, np.float32)
    qt[:] = 0
    for t in range(tokens):
        source = address(q[t, h]) + 4 * (width - rope)
        call(micro[ROTATE], (source, address(cos[t]), address(sin[t]), address(rotated), rope // 2))
        for i in range(width - rope):
            qt[i, t] = q[t, h, i]
        for i in range(rope):
            qt[nope + i, t] = rotated[i]


@leaf
def _expand(micro, jobs, h, page_rows, inputs, k, v):
    """Keys (without position) and values of one head for a page's rows."""
    groups = jobs[0].groups
    table = np.empty((PAGE_TOKENS, 2), np.int64)
    q = address(inputs)
    s = q + PAGE_TOKENS * groups * GROUP
    if jobs[0].s != 0 or jobs[1].s != 0:
        for t in range(PAGE_TOKENS):
            x, to = address(page_rows[t]), s + t * groups * GROUP_BYTES
            call(micro[QUANTIZE], (x, q + t * groups * GROUP, to, groups))
    buffer = np.empty((2, TILE, ROWS), np.float32)
    w = jobs.copy()
    for j in range(2):
        for t in range(PAGE_TOKENS):
            if w[j].s != 0:
                table[t, 0], table[t, 1] = q + t * groups * GROUP, s + t * groups * GROUP_BYTES
            else:
                table[t, 0], table[t, 1] = address(page_rows[t]), 0
        blocks = w[j].rows // ROWS
        w[j].weights += h * blocks * w[j].block_bytes
        w[j].out, w[j].out_pitch = (address(k), k.shape[1] * 4) if j == 0 else (address(v), v.shape[1] * 4)
        linear_blocks(micro, w[j], table, 0, blocks, PUT, buffer)


@leaf
def _finish(micro, sums, total, out, row, tokens, h, width):
    """Rows `row`.. of a ROWS_OUT, one head of them = sums f32[V padded, columns]^T / total f32[columns]."""
    buffer = np.empty((TILE, ROWS), np.float32)
    for block in range((width + ROWS - 1) // ROWS):
        count = min(ROWS, width - block * ROWS)
        for t in range(0, tokens, TILE):
            size = min(TILE, tokens - t)
            for i in range(size):
                for j in range(count):
                    buffer[i, j] = sums[block * ROWS + j, t + i] / total[t + i]
            target = out.x + (row + t) * out.x_pitch + (h * width + block * ROWS) * 4
            call(micro[PUT], (address(buffer), target, out.x_pitch, size, count))
