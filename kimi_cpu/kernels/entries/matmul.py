"""`linear` and `gate_up` on packed weights, with int8 or f32 activations, one parallel region each.

A region is a list of tasks, some row blocks each, which threads take one by one; a task goes over all tokens, as many
at a time as fit the second-level cache, so that weights come from memory once. Every element of the result is summed
by one call of a micro-kernel, from the first input to the last.
"""

import numpy as np
from numba import prange, types

from ...quant.rows16 import GROUP, ROWS, Matrix
from .. import runtime
from ..arrays import Activation
from ..codegen.jit import Call, Rows, address, call, kernel, leaf
from ..micro.table import INDEX, WORKERS
from .jobs import (
    ADDRESSES,
    BLOCKS_PER_TASK,
    JOB,
    JOBS,
    OUTS,
    STREAMING_TOKENS,
    TILE,
    chunk_tokens,
    fill_table,
    is_stopped,
    job,
    output,
    quantize_rows,
    run_tile,
    take_task,
    task_edges,
    tile_size,
)

PUT, ADD, SILU_MUL, PREFETCH = INDEX["put"], INDEX["add"], INDEX["silu_mul"], INDEX["prefetch"]
MAX_GROUPS = 8  # of 32 rows of gate, and then of up, in one stream
PREFETCH_BYTES = 2048  # of the next stream


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
    edges = task_edges(first_block[len(jobs)], jobs[0].block_bytes, BLOCKS_PER_TASK, tokens, workers)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        buffer = np.empty((TILE, ROWS), np.float32)
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
    chunk = chunk_tokens(w.groups, w.s != 0)
    for start in range(0, tokens, chunk):
        stop = min(start + chunk, tokens)
        for block in range(begin, end):
            if is_stopped(micro):
                return
            count = min(ROWS, w.rows - block * ROWS)
            t = start
            while t < stop:
                size = tile_size(stop - t, w.tile)
                run_tile(micro, w, block, table, t, size, buffer)
                target = w.out + t * w.out_pitch + block * ROWS * 4
                call(micro[finish], (address(buffer), target, w.out_pitch, size, count))
                t += size


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
    edges = task_edges(groups, 4 * jobs[0].block_bytes, 1, tokens, workers)
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

    For few tokens MAX_GROUPS groups' gate rows are read before the up rows: long streams.
    """
    if len(table) > STREAMING_TOKENS:
        for group in range(begin, end):
            if is_stopped(micro):
                return
            _gate_up_group(micro, gate, up, table, up_table, out, row, group, buffer)
    else:
        for group in range(begin, end, MAX_GROUPS):
            if is_stopped(micro):
                return
            stop = min(group + MAX_GROUPS, end)
            _gate_up_streams(micro, gate, up, table, up_table, out, row, group, stop, buffer)


@leaf
def _gate_up_streams(micro, gate, up, table, up_table, out, row, begin, end, buffer):
    """Groups begin..end-1 of few tokens: all gate rows, then all up rows."""
    tokens, first = len(table), 2 * begin
    blocks = min(2 * end, (gate.rows + ROWS - 1) // ROWS) - first
    call(micro[PREFETCH], (up.weights + first * up.block_bytes, PREFETCH_BYTES))
    for i in range(blocks):
        run_tile(micro, gate, first + i, table, 0, tokens, buffer[0, i])
    for i in range(blocks):
        run_tile(micro, up, first + i, up_table, 0, tokens, buffer[1, i])
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
    chunk = chunk_tokens(gate.groups, gate.s != 0)
    for start in range(0, tokens, chunk):
        stop = min(start + chunk, tokens)
        for block in range(2 * group, end):
            count = min(ROWS, gate.rows - block * ROWS)
            t = start
            while t < stop:
                size = tile_size(stop - t, min(gate.tile, up.tile))
                run_tile(micro, gate, block, table, t, size, buffer[0, 0])
                run_tile(micro, up, block, up_table, t, size, buffer[1, 0])
                target = out.x + (row + t) * out.x_pitch + block * ROWS * 4
                call(micro[SILU_MUL], (address(buffer[0, 0]), address(buffer[1, 0]), target, out.x_pitch, size, count))
                t += size
        quantize_rows(micro, out, row + start, stop - start, group, 1)
