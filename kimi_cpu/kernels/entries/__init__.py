"""Entries, a file for each family. Here is what they share: records of jobs, how tasks are taken, loops over tiles."""

import numpy as np
from numba import carray, from_dtype, types

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS, Matrix, packed_bytes
from .. import runtime
from ..arrays import Activation
from ..codegen.jit import address, call, leaf, peek, pointer, take
from ..micro import AHEAD, INDEX, SIZE, STOP, WORKERS
from ..micro.matmul import PAIR_LEAST, pair_name, tile_name

QUANTIZE = INDEX["quantize"]
TILE = 16  # the most tokens of a tile on any tier
GROUP_BYTES = 16  # what goes with 32 quantised inputs: see arrays.Activation.s
NO_TASK = 1 << 40  # beyond all tasks
BLOCKS_PER_TASK, CHUNK_BYTES = SIZE["blocks_per_task"], SIZE["chunk_bytes"]
STREAM_BYTES, STREAMING_TOKENS = SIZE["stream_bytes"], SIZE["streaming_tokens"]

JOB = np.dtype(  # one matrix, its input and its output; addresses and pitches in bytes
    [
        ("weights", "i8"),
        ("groups", "i8"),  # of 32 inputs
        ("block_bytes", "i8"),  # from a row block to the next
        ("rows", "i8"),
        ("tiles", "i8"),  # the micro-kernel for one token; those for 2, 3, … follow
        ("tile", "i8"),  # tokens of the largest
        ("pairs", "i8"),  # the micro-kernel for two row blocks and PAIR_LEAST tokens; those for more follow
        ("pair", "i8"),  # tokens of the largest; 0: there are none
        ("x", "i8"),  # q, or x for f32 compute
        ("x_pitch", "i8"),
        ("s", "i8"),  # 0 for f32 compute
        ("s_pitch", "i8"),
        ("out", "i8"),
        ("out_pitch", "i8"),
    ]
)
ROWS_OUT = np.dtype(  # an activation that is written
    [(name, "i8") for name in ("x", "x_pitch", "q", "q_pitch", "s", "s_pitch", "cols", "groups")]  # q: 0 for f32
)
ADDRESSES = types.Array(types.int64, 1, "C")
JOBS = types.Array(from_dtype(JOB), 1, "C")
OUTS = types.Array(from_dtype(ROWS_OUT), 1, "C")


def job(w: Matrix, a: Activation, out: np.ndarray) -> tuple:
    """A row of JOB: out f32[T, >= rows] = a w^T."""
    check_rows(out, len(a.x), w.rows)
    x, x_pitch, s, s_pitch = operand(a, w.kind)
    return (*weights(w.kind, w.cols, a.q is not None, w.data.ctypes.data, w.rows), x, x_pitch, s, s_pitch) + (
        out.ctypes.data,
        out.strides[0],
    )


def weights(kind: str, cols: int, int8: bool, address: int, rows: int) -> tuple:
    """The first eight fields of JOB."""
    int8 = int8 and kind != "bf16"
    block_bytes, tier = packed_bytes(kind, ROWS, cols), runtime.library().isa
    tiles = INDEX[tile_name(kind, int8, 1)], tier.int8_tile if int8 else tier.f32_tile
    pairs = (INDEX[pair_name(kind, PAIR_LEAST)], tier.int8_pair) if int8 else (0, 0)
    return address, block_bytes // BLOCK_BYTES[kind], block_bytes, rows, *tiles, *pairs


def operand(a: Activation, kind: str) -> tuple:
    """(x, x_pitch, s, s_pitch) of JOB for a matrix of a kind: bf16 has no integers and takes x."""
    if a.q is None or a.s is None or kind == "bf16":
        return a.x.ctypes.data, a.x.strides[0], 0, 0
    return a.q.ctypes.data, a.q.strides[0], a.s.ctypes.data, a.s.strides[0]


def output(a: Activation) -> np.ndarray:
    """One ROWS_OUT."""
    q = 0, 0, 0, 0
    if a.q is not None and a.s is not None:
        q = a.q.ctypes.data, a.q.strides[0], a.s.ctypes.data, a.s.strides[0]
    return np.array([(a.x.ctypes.data, a.x.strides[0], *q, a.cols, a.x.shape[1] // GROUP)], ROWS_OUT)


def check_rows(out: np.ndarray, tokens: int, cols: int) -> None:
    """out must hold f32[tokens, >= cols] with values side by side: kernels index blindly."""
    assert out.dtype == np.float32 and out.ndim == 2 and out.strides[1] == 4, "rows of f32 expected"
    assert out.shape[0] >= tokens and out.shape[1] >= cols, f"{out.shape} cannot hold {(tokens, cols)}"


@leaf
def matrix(space, at, rows, cols):
    """f32[rows, cols] that begins `at` floats into an array: `reshape` would take seconds to compile."""
    return carray(pointer(address(space) + 4 * at), (rows, cols), np.float32)


@leaf
def fill_table(table, x, x_pitch, s, s_pitch):
    """Addresses of consecutive tokens' inputs, table i64[T, 2]."""
    for t in range(len(table)):
        table[t, 0] = x + t * x_pitch
        table[t, 1] = s + t * s_pitch


@leaf
def task_edges(micro, units, unit_bytes, most, tokens):
    """Beginnings of tasks over `units` pieces of work, and the end: i64[tasks + 1]. Threads take them as they come.

    Sizes fall, half of what is left in equal parts: long streams first, and all threads end at the same time. Many
    tokens: at most `most` pieces, for the cache's sake.
    """
    workers, few = micro[WORKERS], tokens <= micro[STREAMING_TOKENS]
    least = micro[STREAM_BYTES] // unit_bytes + 1 if few else 1
    edges = np.empty(units + 1, np.int64)
    n, at = 0, 0
    while at < units:
        edges[n] = at
        size = max(least, (units - at) // (2 * workers))
        at += size if few else min(size, most)
        n += 1
    edges[n] = units
    return edges[: n + 1]


@leaf
def is_stopped(micro):
    """Whether the rest of the work is not wanted any more: runtime.stoppable. Asked before every stream of weights."""
    return peek(micro[STOP]) != 0


@leaf
def take_task(micro, counter):
    """The next task of a counter i64[1] that several threads share; NO_TASK when the rest is not wanted any more."""
    return NO_TASK if is_stopped(micro) else take(counter)


@leaf
def shares(workers):
    """Counters of `next_task` for a list of tasks, i64[workers, 16]: 128 bytes, as some CPUs fetch lines in pairs."""
    return np.zeros((workers, 16), np.int64)


@leaf
def next_task(micro, taken, worker, tasks):
    """A worker's next task: of its own share, one after the other, then what others have left; `tasks` at the end, or
    when the rest is not wanted any more.

    A worker's share is the same part of every list, so that what it computes is in its own core's caches when the next
    region goes over it.
    """
    workers = len(taken)
    if is_stopped(micro):
        return tasks
    for i in range(workers):
        w = (worker + i) % workers
        first, end = w * tasks // workers, (w + 1) * tasks // workers
        if taken[w, 0] < end - first:
            task = first + take(taken[w])
            if task < end:
                return task
    return tasks


@leaf
def chunk_tokens(micro, groups, int8):
    """Tokens whose inputs stay in the cache while a task's weights pass: a multiple of 16."""
    token_bytes = groups * (GROUP + GROUP_BYTES) if int8 else groups * 4 * GROUP
    return max(TILE, micro[CHUNK_BYTES] // token_bytes // TILE * TILE)


@leaf
def blocks_of_tile(w, blocks, tokens):
    """Row blocks of the next tiles: two, where there are such tiles, for tokens that no single tile holds."""
    return 2 if blocks > 1 and tokens > w.tile and w.pair else 1


@leaf
def tile_size(w, blocks, tokens):
    """Tokens of the next tile of one or two row blocks, so that tiles are as equal as can be."""
    most = w.pair if blocks == 2 else w.tile
    tiles = (tokens + most - 1) // most
    return (tokens + tiles - 1) // tiles


@leaf
def run_tile(micro, w, block, blocks, table, first, tokens, out):
    """out f32[blocks, tokens, 16] (its address) = one or two row blocks from `block` on of a job, for tokens first.. of
    table i64[T, 2]."""
    at, inputs = w.weights + block * w.block_bytes, address(table) + 16 * first
    if blocks == 2:
        tile = w.pairs + tokens - PAIR_LEAST
        call(micro[tile], (at, w.groups, inputs, out, micro[AHEAD + tile], w.block_bytes))
    else:
        tile = w.tiles + tokens - 1
        call(micro[tile], (at, w.groups, inputs, out, micro[AHEAD + tile]))


@leaf
def quantize_rows(micro, out, first, tokens, group, groups):
    """Quantises `groups` groups from `group` on of rows first.. of a ROWS_OUT."""
    if out.q == 0:
        return
    for t in range(first, first + tokens):
        call(
            micro[QUANTIZE],
            (
                out.x + t * out.x_pitch + group * 4 * GROUP,
                out.q + t * out.q_pitch + group * GROUP,
                out.s + t * out.s_pitch + group * GROUP_BYTES,
                groups,
            ),
        )
