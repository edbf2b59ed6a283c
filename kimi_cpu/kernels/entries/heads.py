"""The per-head halves of kv_b around absorbed attention: `absorb_queries` and `project_values`."""

import numpy as np
from numba import prange, types

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS, Matrix, packed_bytes, pad
from .. import runtime
from ..arrays import Activation
from ..codegen.jit import Call, Rows, address, call, kernel, leaf
from ..micro.rows import ABSORB_COLUMNS
from ..micro.table import INDEX, WORKERS
from .jobs import (
    ADDRESSES,
    GROUP_BYTES,
    JOB,
    JOBS,
    OUTS,
    QUANTIZE,
    TILE,
    check_rows,
    next_task,
    output,
    quantize_rows,
    run_tile,
    shares,
    tile_size,
)
from .jobs import weights as job_weights

SHARED = 4  # tokens of the larger micro-kernel, which follows the one for 1
ABSORB = {kind: INDEX[f"absorb_{kind}_1"] for kind in BLOCK_BYTES}
ROTATE, PUT = INDEX["rotate"], INDEX["put"]
F32_2D_READ = types.Array(types.float32, 2, "C", readonly=True)
F32_3D_READ = types.Array(types.float32, 3, "C", readonly=True)
F32_3D = types.Array(types.float32, 3, "C")
I64 = types.int64


def absorb_queries(
    k_b: Matrix, q: np.ndarray, cos: np.ndarray, sin: np.ndarray, out: np.ndarray, rows: Rows = None
) -> Call:
    """out f32[T, A, L + R] = (q_nope W_UK, rotated q_rope) of q f32[T, A, N + R]; 1 region. k_b [A * pad16(N), L]."""
    matrix = ABSORB[k_b.kind], k_b.data.ctypes.data, packed_bytes(k_b.kind, ROWS, k_b.cols), k_b.cols
    return Call(_absorb, (runtime.context(), *matrix, q, cos, sin, out), rows, len(q))


def project_values(v_b: Matrix, u: np.ndarray, out: Activation, rows: Rows = None) -> Call:
    """out.x[:, h * V + j] = W_UV[h, j] u[:, h], quantised too. v_b [A * pad16(V), L], u f32[T, A, L].

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


@kernel(types.void(ADDRESSES, I64, I64, I64, I64, F32_3D_READ, F32_2D_READ, F32_2D_READ, F32_3D, I64))
def _absorb(micro, absorb, w, block_bytes, latent, q, cos, sin, out, tokens):
    """A task is one head of all tokens."""
    workers, heads, width = micro[WORKERS], q.shape[1], q.shape[2]
    rope = 2 * cos.shape[1]
    nope = width - rope
    row_blocks = (nope + ROWS - 1) // ROWS
    groups = (latent + GROUP - 1) // GROUP
    taken = shares(workers)
    for worker in prange(workers):
        x = np.zeros((SHARED, row_blocks * ROWS), np.float32)
        y = np.empty((SHARED, groups * GROUP), np.float32)
        room = np.empty((ABSORB_COLUMNS, ROWS), np.float32)
        while True:
            h = next_task(micro, taken, worker, heads)
            if h == heads:
                break
            head = w + h * row_blocks * block_bytes
            t = 0
            while t < tokens:
                count = SHARED if tokens - t >= SHARED else 1
                for i in range(count):
                    x[i, :nope] = q[t + i, h, :nope]
                tile = absorb if count == 1 else absorb + 1
                call(micro[tile], (head, block_bytes, row_blocks, groups, address(x), address(room), address(y)))
                for i in range(count):
                    out[t + i, h, :latent] = y[i, :latent]
                    source, target = address(q[t + i, h]) + 4 * nope, address(out[t + i, h]) + 4 * latent
                    call(micro[ROTATE], (source, address(cos[t + i]), address(sin[t + i]), target, rope // 2))
                t += count


@kernel(types.void(ADDRESSES, JOBS, OUTS, F32_3D_READ, I64, types.boolean, types.Array(types.uint8, 1, "C"), I64, I64))
def _project(micro, jobs, outs, u, width, int8, space, each, tokens):
    """A task is one head of all tokens: its inputs are padded and quantised, then multiplied."""
    workers, heads = micro[WORKERS], u.shape[1]
    taken = shares(workers)
    for worker in prange(workers):
        table = np.empty((tokens, 2), np.int64)
        buffer = np.empty((TILE, ROWS), np.float32)
        own = space[worker * each : (worker + 1) * each]
        w = jobs.copy()
        while True:
            h = next_task(micro, taken, worker, heads)
            if h == heads:
                break
            w[0].weights = jobs[0].weights + h * ((jobs[0].rows + ROWS - 1) // ROWS) * jobs[0].block_bytes
            _head_inputs(micro, u[:tokens], h, int8, own, table)
            for block in range((width + ROWS - 1) // ROWS):
                t = 0
                while t < tokens:
                    size = tile_size(tokens - t, w[0].tile)
                    run_tile(micro, w[0], block, table, t, size, buffer)
                    target = w[0].out + t * w[0].out_pitch + (h * width + block * ROWS) * 4
                    call(micro[PUT], (address(buffer), target, w[0].out_pitch, size, min(ROWS, width - block * ROWS)))
                    t += size
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
    x = space[: tokens * groups * 4 * GROUP].view(np.float32).reshape(tokens, groups * GROUP)
    s = address(space) + tokens * groups * 4 * GROUP
    q = s + tokens * groups * GROUP_BYTES
    for t in range(tokens):
        x[t, :latent] = u[t, h]
        x[t, latent:] = 0
        if int8:
            table[t, 0], table[t, 1] = q + t * groups * GROUP, s + t * groups * GROUP_BYTES
            call(micro[QUANTIZE], (address(x[t]), table[t, 0], table[t, 1], groups))
        else:
            table[t, 0], table[t, 1] = address(x[t]), 0
