"""`linear` and `gate_up` on packed weights, with int8 or f32 activations, one parallel region each.

A region is a list of tasks, some row blocks each, which threads take one by one; a task goes over all tokens, as many
at a time as fit the second-level cache, so that weights come from memory once. Every element of the result is summed
by one call of a micro-kernel, from the first input to the last.
"""

import numpy as np
from numba import prange, types

from ..quant.rows16 import GROUP, ROWS, Matrix
from . import runtime
from .arrays import Activation
from .jit import address, call, kernel, leaf, take
from .jobs import (
    ADDRESSES,
    JOB,
    JOBS,
    OUTS,
    TILE,
    blocks_per_task,
    chunk_tokens,
    fill_table,
    job,
    output,
    quantize_rows,
    run_tile,
    tile_size,
)
from .micros import INDEX

PUT, ADD, SILU_MUL = INDEX["put"], INDEX["add"], INDEX["silu_mul"]


def linear(ws: tuple[Matrix, ...], a: Activation, outs: tuple[np.ndarray, ...], add: bool = False) -> None:
    """outs[i][:, :rows] (+)= a ws[i]^T for several matrices of one input, in 1 region. outs[i] f32[T, P]."""
    if len(a.x):
        jobs = np.array([job(w, a, out) for w, out in zip(ws, outs, strict=True)], JOB)
        _linear(runtime.library().addresses, jobs, len(a.x), ADD if add else PUT, runtime.workers())


def gate_up(w_gate: Matrix, w_up: Matrix, a: Activation, out: Activation) -> None:
    """out = silu(gate a) * (up a), quantised too, in 1 region. w_gate, w_up [I, H]."""
    if len(a.x):
        jobs = np.array([job(w_gate, a, out.x), job(w_up, a, out.x)], JOB)
        _gate_up(runtime.library().addresses, jobs, output(out), len(a.x), runtime.workers())


@kernel(types.void(ADDRESSES, JOBS, types.int64, types.int64, types.int64))
def _linear(micro, jobs, tokens, finish, workers):
    """Tasks of all jobs one after the other; finish: the micro-kernel that moves a tile to its place."""
    tables = np.empty((len(jobs), tokens, 2), np.int64)
    first_task = np.zeros(len(jobs) + 1, np.int64)
    step = np.empty(len(jobs), np.int64)
    total = 0
    for j in range(len(jobs)):
        total += (jobs[j].rows + ROWS - 1) // ROWS
    for j in range(len(jobs)):
        w = jobs[j]
        fill_table(tables[j], w.x, w.x_pitch, w.s, w.s_pitch)
        blocks = (w.rows + ROWS - 1) // ROWS
        step[j] = blocks_per_task(total, workers)
        first_task[j + 1] = first_task[j] + (blocks + step[j] - 1) // step[j]
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        buffer = np.empty((TILE, ROWS), np.float32)
        while True:
            task = take(counter)
            if task >= first_task[len(jobs)]:
                break
            j = 0
            while task >= first_task[j + 1]:
                j += 1
            begin = (task - first_task[j]) * step[j]
            _linear_blocks(micro, jobs[j], tables[j], begin, begin + step[j], finish, buffer)


@leaf
def _linear_blocks(micro, w, table, begin, end, finish, buffer):
    """Row blocks begin..end-1 of a job for all tokens."""
    tokens = len(table)
    end = min(end, (w.rows + ROWS - 1) // ROWS)
    chunk = chunk_tokens(w.groups, w.s != 0)
    for start in range(0, tokens, chunk):
        stop = min(start + chunk, tokens)
        for block in range(begin, end):
            count = min(ROWS, w.rows - block * ROWS)
            t = start
            while t < stop:
                size = tile_size(stop - t, w.tile)
                run_tile(micro, w, block, table, t, size, buffer)
                target = w.out + t * w.out_pitch + block * ROWS * 4
                call(micro[finish], (address(buffer), target, w.out_pitch, size, count))
                t += size


@kernel(types.void(ADDRESSES, JOBS, OUTS, types.int64, types.int64))
def _gate_up(micro, jobs, outs, tokens, workers):
    """A task is 32 rows of gate and up: what they give is one group of 32, quantised at once."""
    table = np.empty((tokens, 2), np.int64)
    tables_differ = jobs[0].x != jobs[1].x
    up_table = np.empty((tokens if tables_differ else 0, 2), np.int64)
    fill_table(table, jobs[0].x, jobs[0].x_pitch, jobs[0].s, jobs[0].s_pitch)
    fill_table(up_table, jobs[1].x, jobs[1].x_pitch, jobs[1].s, jobs[1].s_pitch)
    groups = (jobs[0].rows + GROUP - 1) // GROUP
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        buffer = np.empty((2, TILE, ROWS), np.float32)
        while True:
            group = take(counter)
            if group >= groups:
                break
            gate_up_group(
                micro, jobs[0], jobs[1], table, up_table if tables_differ else table, outs[0], 0, group, buffer
            )


@leaf
def gate_up_group(micro, gate, up, table, up_table, out, row, group, buffer):
    """Group `group` of 32 hidden values of all tokens of the tables, into rows `row`.. of a ROWS_OUT."""
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
                run_tile(micro, gate, block, table, t, size, buffer[0])
                run_tile(micro, up, block, up_table, t, size, buffer[1])
                target = out.x + (row + t) * out.x_pitch + block * ROWS * 4
                call(micro[SILU_MUL], (address(buffer[0]), address(buffer[1]), target, out.x_pitch, size, count))
                t += size
        quantize_rows(micro, out, row + start, stop - start, group, 1)
