"""Matrix products: `linear` and `gate_up`, and head by head `absorb_queries` and `project_values`, a region each.

A region is a list of tasks, some row blocks each, which threads take one by one; a task goes over all tokens, as many
at a time as fit the second-level cache, so that weights come from memory once. Every element of the result is summed
by one call of a micro-kernel, from the first input to the last.

The halves of kv_b around absorbed attention are products of their own for each head: a task is one head of all tokens.
"""

import numpy as np
from numba import prange, types

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS, Matrix, packed_bytes, pad
from .. import runtime
from ..arrays import Activation
from ..codegen.jit import Call, Rows, address, call, kernel, leaf
from ..micro import INDEX, SIZE, WORKERS
from ..micro.rows import ABSORB_COLUMNS
from . import (
    ADDRESSES,
    BLOCKS_PER_TASK,
    GROUP_BYTES,
    JOB,
    JOBS,
    OUTS,
    QUANTIZE,
    STREAMING_TOKENS,
    TILE,
    blocks_of_tile,
    check_rows,
    chunk_tokens,
    fill_table,
    is_stopped,
    job,
    matrix,
    next_task,
    output,
    quantize_rows,
    run_tile,
    shares,
    take_task,
    task_edges,
    tile_size,
)
from . import weights as job_weights

PUT, ADD, SILU_MUL, PREFETCH = INDEX["put"], INDEX["add"], INDEX["silu_mul"], INDEX["prefetch"]
MAX_GROUPS = 8  # of 32 rows of gate, and then of up, that a stream may have
STREAMS, PREFETCH_BYTES, ABSORB_AHEAD = SIZE["streams"], SIZE["prefetch_bytes"], SIZE["absorb_ahead"]
ABSORB = {kind: INDEX[f"absorb_{kind}_1"] for kind in BLOCK_BYTES}
ABSORB_TOKENS = 4  # of the larger micro-kernel, which follows the one for 1
ROTATE = INDEX["rotate"]
I64 = types.int64
F32_2D_READ = types.Array(types.float32, 2, "C", readonly=True)
F32_3D_READ = types.Array(types.float32, 3, "C", readonly=True)
F32_3D = types.Array(types.float32, 3, "C")


def linear(
    ws: tuple[Matrix, ...], a: Activation, outs: tuple[np.ndarray, ...], add: bool = False, rows: Rows = None
) -> Call:
    """outs[i][:, :rows] (+)= a ws[i]^T for several matrices of one input, in 1 region. outs[i] f32[T, P]."""
    jobs = np.array([job(w, a, out) for w, out in zip(ws, outs, strict=True)], JOB)
    return Call(_linear, (runtime.context(), jobs, ADD if add else PUT), rows, len(a.x))


def gate_up(w_gate: Matrix, w_up: Matrix, a: Activation, out: Activation, rows: Rows = None) -> Call:
    """out = silu(gate a) * (up a), quantised too, in 1 region. w_gate, w_up [I, H]."""
    jobs = np.array([job(w_gate, a, out.x), job(w_up, a, out.x)], JOB)
    return Call(_gate_up, (runtime.context(), jobs, output(out)), rows, len(a.x))


def absorb_queries(
    k_b: Matrix, q: np.ndarray, cos: np.ndarray, sin: np.ndarray, out: np.ndarray, rows: Rows = None
) -> Call:
    """out f32[T, A, L + R] = (q_nope W_UK, rotated q_rope) of q f32[T, A, N + R]; 1 region. k_b [A * pad16(N), L]."""
    matrix = ABSORB[k_b.kind], k_b.data.ctypes.data, packed_bytes(k_b.kind, ROWS, k_b.cols), k_b.cols
    return Call(_absorb, (runtime.context(), *matrix, q, cos, sin, out), rows, len(q))


def project_values(v_b: Matrix, u: np.ndarray, out: Activation, rows: Rows = None) -> Call:
    """out.x f32[T, A * V][:, h * V + j] = W_UV[h, j] u[:, h], quantised too. v_b [A * pad16(V), L], u f32[T, A, L].

    1 region; a second one quantises when V is not a multiple of 32.
    """
    tokens, heads, latent = u.shape
    width, padded = out.cols // heads, pad(latent, GROUP)
    check_rows(out.x, tokens, heads * width)
    int8 = out.q is not None and v_b.kind != "bf16"
    first = job_weights(v_b.kind, v_b.cols, int8, v_b.data.ctypes.data, v_b.rows // heads)
    jobs = np.array([(*first, 0, 0, 0, 0, out.x.ctypes.data, out.x.strides[0])], JOB)
    each = tokens * (5 * padded + padded // GROUP * GROUP_BYTES)  # a worker's inputs of one head: x, q, s
    space = runtime.scratch("project", each * runtime.workers())
    return Call(_project, (runtime.context(), jobs, output(out), u, width, int8, space, each), rows, tokens)


@kernel(types.void(ADDRESSES, JOBS, types.int64, types.int64))
def _linear(micro, jobs, finish, tokens):
    """Tasks of all jobs one after the other; finish: the micro-kernel that moves a tile to its place."""
    workers = micro[WORKERS]
    tables = np.empty((len(jobs), tokens, 2), np.int64)
    first_block = np.zeros(len(jobs) + 1, np.int64)
    for j in range(len(jobs)):
        w = jobs[j]
        fill_table(tables[j], w.x, w.x_pitch, w.s, w.s_pitch)
        first_block[j + 1] = first_block[j] + (w.rows + ROWS - 1) // ROWS
    edges = task_edges(micro, first_block[len(jobs)], jobs[0].block_bytes, micro[BLOCKS_PER_TASK], tokens)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        buffer = np.empty((2, TILE, ROWS), np.float32)
        while True:
            task = take_task(micro, counter)
            if task >= len(edges) - 1:
                break
            for j in range(len(jobs)):
                begin = max(edges[task], first_block[j]) - first_block[j]
                end = min(edges[task + 1], first_block[j + 1]) - first_block[j]
                linear_blocks(micro, jobs[j], tables[j], begin, end, finish, buffer)


@leaf
def linear_blocks(micro, w, table, begin, end, finish, buffer):
    """Row blocks begin..end-1 of a job for all tokens."""
    tokens = len(table)
    chunk = chunk_tokens(micro, w.groups, w.s != 0)
    for start in range(0, tokens, chunk):
        stop = min(start + chunk, tokens)
        block = begin
        while block < end:
            if is_stopped(micro):
                return
            blocks = blocks_of_tile(w, end - block, stop - start)
            t = start
            while t < stop:
                size = tile_size(w, blocks, stop - t)
                run_tile(micro, w, block, blocks, table, t, size, address(buffer))
                for i in range(blocks):
                    row = (block + i) * ROWS
                    source, target = address(buffer) + i * size * ROWS * 4, w.out + t * w.out_pitch + row * 4
                    call(micro[finish], (source, target, w.out_pitch, size, min(ROWS, w.rows - row)))
                t += size
            block += blocks


@kernel(types.void(ADDRESSES, JOBS, OUTS, types.int64))
def _gate_up(micro, jobs, outs, tokens):
    """A task is some groups of 32 rows of gate and of up: what a group gives is quantised at once."""
    workers = micro[WORKERS]
    table = np.empty((tokens, 2), np.int64)
    tables_differ = jobs[0].x != jobs[1].x
    up_table = np.empty((tokens if tables_differ else 0, 2), np.int64)
    fill_table(table, jobs[0].x, jobs[0].x_pitch, jobs[0].s, jobs[0].s_pitch)
    fill_table(up_table, jobs[1].x, jobs[1].x_pitch, jobs[1].s, jobs[1].s_pitch)
    groups = (jobs[0].rows + GROUP - 1) // GROUP
    edges = task_edges(micro, groups, 4 * jobs[0].block_bytes, 1, tokens)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        buffer = np.empty((2, 2 * MAX_GROUPS, TILE, ROWS), np.float32)
        while True:
            task = take_task(micro, counter)
            if task >= len(edges) - 1:
                break
            gate_up_groups(
                micro,
                jobs[0],
                jobs[1],
                table,
                up_table if tables_differ else table,
                outs[0],
                0,
                edges[task],
                edges[task + 1],
                buffer,
            )


@leaf
def gate_up_groups(micro, gate, up, table, up_table, out, row, begin, end, buffer):
    """Groups begin..end-1 of 32 hidden values of all tokens of the tables, into rows `row`.. of a ROWS_OUT.

    For few tokens some groups' gate rows are read before their up rows: long streams.
    """
    if len(table) > min(micro[STREAMING_TOKENS], gate.tile, up.tile):
        for group in range(begin, end):
            if is_stopped(micro):
                return
            _gate_up_group(micro, gate, up, table, up_table, out, row, group, buffer)
    else:
        for group in range(begin, end, micro[STREAMS]):
            if is_stopped(micro):
                return
            stop = min(group + micro[STREAMS], end)
            _gate_up_streams(micro, gate, up, table, up_table, out, row, group, stop, buffer)


@leaf
def _gate_up_streams(micro, gate, up, table, up_table, out, row, begin, end, buffer):
    """Groups begin..end-1 of few tokens: all gate rows, then all up rows."""
    tokens, first = len(table), 2 * begin
    blocks = min(2 * end, (gate.rows + ROWS - 1) // ROWS) - first
    call(micro[PREFETCH], (up.weights + first * up.block_bytes, micro[PREFETCH_BYTES]))
    for i in range(blocks):
        run_tile(micro, gate, first + i, 1, table, 0, tokens, address(buffer[0, i]))
    for i in range(blocks):
        run_tile(micro, up, first + i, 1, up_table, 0, tokens, address(buffer[1, i]))
    for i in range(blocks):
        count = min(ROWS, gate.rows - (first + i) * ROWS)
        target = out.x + row * out.x_pitch + (first + i) * ROWS * 4
        call(micro[SILU_MUL], (address(buffer[0, i]), address(buffer[1, i]), target, out.x_pitch, tokens, count))
    quantize_rows(micro, out, row, tokens, begin, end - begin)


@leaf
def _gate_up_group(micro, gate, up, table, up_table, out, row, group, buffer):
    """One group of many tokens, as many at a time as fit the second-level cache."""
    tokens = len(table)
    end = min(2 * group + 2, (gate.rows + ROWS - 1) // ROWS)
    chunk = chunk_tokens(micro, gate.groups, gate.s != 0)
    for start in range(0, tokens, chunk):
        stop = min(start + chunk, tokens)
        block = 2 * group
        while block < end:
            blocks = min(
                blocks_of_tile(gate, end - block, stop - start),
                blocks_of_tile(up, end - block, stop - start),
            )
            t = start
            while t < stop:
                size = min(tile_size(gate, blocks, stop - t), tile_size(up, blocks, stop - t))
                run_tile(micro, gate, block, blocks, table, t, size, address(buffer[0]))
                run_tile(micro, up, block, blocks, up_table, t, size, address(buffer[1]))
                for i in range(blocks):
                    first, tile = (block + i) * ROWS, i * size * ROWS * 4
                    target = out.x + (row + t) * out.x_pitch + first * 4
                    sources = address(buffer[0]) + tile, address(buffer[1]) + tile
                    call(micro[SILU_MUL], (*sources, target, out.x_pitch, size, min(ROWS, gate.rows - first)))
                t += size
            block += blocks
        quantize_rows(micro, out, row + start, stop - start, group, 1)


@kernel(types.void(ADDRESSES, I64, I64, I64, I64, F32_3D_READ, F32_2D_READ, F32_2D_READ, F32_3D, I64))
def _absorb(micro, absorb, w, block_bytes, latent, q, cos, sin, out, tokens):
    """`absorb_queries` for the first `tokens` rows, up to ABSORB_TOKENS at a time."""
    workers, heads, width = micro[WORKERS], q.shape[1], q.shape[2]
    rope = 2 * cos.shape[1]
    nope = width - rope
    row_blocks = (nope + ROWS - 1) // ROWS
    groups = (latent + GROUP - 1) // GROUP
    taken = shares(workers)
    for worker in prange(workers):
        x = np.zeros((ABSORB_TOKENS, row_blocks * ROWS), np.float32)
        y = np.empty((ABSORB_TOKENS, groups * GROUP), np.float32)
        room = np.empty((ABSORB_COLUMNS, ROWS), np.float32)
        while True:
            h = next_task(micro, taken, worker, heads)
            if h == heads:
                break
            head = w + h * row_blocks * block_bytes
            t = 0
            while t < tokens:
                count = ABSORB_TOKENS if tokens - t >= ABSORB_TOKENS else 1
                for i in range(count):
                    for j in range(nope):
                        x[i, j] = q[t + i, h, j]
                tile = absorb if count == 1 else absorb + 1
                places = head, block_bytes, row_blocks, groups, address(x), address(room), address(y)
                call(micro[tile], (*places, micro[ABSORB_AHEAD] * block_bytes))
                for i in range(count):
                    for j in range(latent):
                        out[t + i, h, j] = y[i, j]
                    source, target = address(q[t + i, h]) + 4 * nope, address(out[t + i, h]) + 4 * latent
                    call(micro[ROTATE], (source, address(cos[t + i]), address(sin[t + i]), target, rope // 2))
                t += count


@kernel(types.void(ADDRESSES, JOBS, OUTS, F32_3D_READ, I64, types.boolean, types.Array(types.uint8, 1, "C"), I64, I64))
def _project(micro, jobs, outs, u, width, int8, space, each, tokens):
    """`project_values` for the first `tokens` rows: a head's inputs are padded and quantised, then multiplied."""
    workers, heads = micro[WORKERS], u.shape[1]
    taken = shares(workers)
    for worker in prange(workers):
        table = np.empty((tokens, 2), np.int64)
        buffer = np.empty((2, TILE, ROWS), np.float32)
        own = space[worker * each : (worker + 1) * each]
        w = jobs.copy()
        while True:
            h = next_task(micro, taken, worker, heads)
            if h == heads:
                break
            w[0].weights = jobs[0].weights + h * ((jobs[0].rows + ROWS - 1) // ROWS) * jobs[0].block_bytes
            _head_inputs(micro, u[:tokens], h, int8, own, table)
            w[0].rows, w[0].out = width, jobs[0].out + h * width * 4
            linear_blocks(micro, w[0], table, 0, (width + ROWS - 1) // ROWS, PUT, buffer)
            if width % GROUP == 0:
                quantize_rows(micro, outs[0], 0, tokens, h * width // GROUP, width // GROUP)
    if width % GROUP != 0:
        for t in prange(tokens):
            quantize_rows(micro, outs[0], t, 1, 0, outs[0].groups)


@leaf
def _head_inputs(micro, u, h, int8, space, table):
    """One head's u as inputs of a matmul in `space`, addresses in table i64[T, 2]."""
    tokens, _, latent = u.shape
    groups = (latent + GROUP - 1) // GROUP
    x = matrix(space, 0, tokens, groups * GROUP)
    s = address(space) + tokens * groups * 4 * GROUP
    q = s + tokens * groups * GROUP_BYTES
    for t in range(tokens):
        for i in range(latent):
            x[t, i] = u[t, h, i]
        x[t, latent:] = 0
        if int8:
            table[t, 0], table[t, 1] = q + t * groups * GROUP, s + t * groups * GROUP_BYTES
            call(micro[QUANTIZE], (address(x[t]), table[t, 0], table[t, 1], groups))
        else:
            table[t, 0], table[t, 1] = address(x[t]), 0
