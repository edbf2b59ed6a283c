"""Operations on each row by itself: `embed`, `rms_norm`, `quantize`, `write_latents`; a region for many tokens only."""

import numpy as np
from numba import prange, types

from ...quant.rows16 import BLOCK_BYTES, GROUP, ROWS, Matrix, packed_bytes, pad
from .. import runtime
from ..arrays import CACHE_GROUP, PAGE_TOKENS, Activation, Cache, cache_widths
from ..codegen.jit import Call, Rows, address, call, kernel, leaf
from ..micro import INDEX
from . import ADDRESSES, OUTS, check_rows, output, quantize_rows

SERIAL_TOKENS = 4  # fewer tokens take less time than waking threads
RMS_NORM, ROTATE = INDEX["rms_norm"], INDEX["rotate"]
TO_F32, TO_F16, STORE_INT8 = INDEX["copy"], INDEX["to_f16"], INDEX["store_int8"]
EMBED_OF = {kind: INDEX[f"embed_{kind}"] for kind in BLOCK_BYTES}
KIND_OF = {"f32": 0, "f16": 1, "int8": 2}
F32_READ = types.Array(types.float32, 1, "C", readonly=True)
F32_2D_READ = types.Array(types.float32, 2, "C", readonly=True)
I64 = types.int64


def quantize(a: Activation, rows: Rows = None) -> Call:
    """Fills a.q i8 and a.s f32 from a.x f32[T, C32]; nothing for f32 compute. reference.quantize says how."""
    return Call(_quantize, (runtime.context(), output(a)), rows, len(a.x))


def embed(w: Matrix, ids: np.ndarray, out: np.ndarray, rows: Rows = None) -> Call:
    """out f32[T, H] = rows ids i32[T] of w [vocab, H]."""
    check_rows(out, len(ids), w.cols)
    row = np.empty(pad(w.cols, GROUP), np.float32)
    table = EMBED_OF[w.kind], w.data.ctypes.data, packed_bytes(w.kind, ROWS, w.cols)
    return Call(_embed, (runtime.context(), *table, w.cols, row, out, ids), rows, len(ids))


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float, out: Activation, rows: Rows = None) -> Call:
    """out.x[:, :C] = x / sqrt(mean(x^2) + eps) * weight, quantised too. x f32[T, P], weight f32[C]."""
    check_rows(x, len(x), len(weight))
    check_rows(out.x, len(x), len(weight))
    fixed = runtime.context(), x.ctypes.data, x.strides[0], weight, eps, output(out)
    return Call(_rms_norm, fixed, rows, len(x))


def write_latents(
    ckv: np.ndarray,
    norm_weight: np.ndarray,
    eps: float,
    cos: np.ndarray,
    sin: np.ndarray,
    slots: np.ndarray,
    cache: Cache,
    layer: int,
    rows: Rows = None,
) -> Call:
    """Token t's latents go to slot slots[t] = page * 64 + offset of the cache, rounded to its kind.

    ckv f32[T, L + R]: the first L normalised, the last R rotated by cos, sin f32[T, R/2]; slots i64[T].
    """
    check_rows(ckv, len(slots), cache.latent + cache.rope)
    widths = np.array([cache.latent, cache.rope, *cache_widths(cache.kind, cache.latent, cache.rope)], np.int64)
    source = ckv.ctypes.data, ckv.strides[0], norm_weight, eps
    target = cache.data, layer * cache.layer_bytes, cache.page_bytes, KIND_OF[cache.kind], widths
    return Call(_write_latents, (runtime.context(), *source, *target, cos, sin, slots), rows, len(slots))


@kernel(types.void(ADDRESSES, OUTS, I64))
def _quantize(micro, outs, tokens):
    if tokens < SERIAL_TOKENS:
        quantize_rows(micro, outs[0], 0, tokens, 0, outs[0].groups)
    else:
        for t in prange(tokens):
            quantize_rows(micro, outs[0], t, 1, 0, outs[0].groups)


@kernel(
    types.void(
        ADDRESSES,
        I64,
        I64,
        I64,
        I64,
        types.Array(types.float32, 1, "C"),
        types.Array(types.float32, 2, "C"),
        types.Array(types.int32, 1, "C", readonly=True),
        I64,
    ),
    parallel=False,
)
def _embed(micro, lookup, w, block_bytes, cols, row, out, ids, tokens):
    for t in range(tokens):
        block = w + ids[t] // ROWS * block_bytes
        call(micro[lookup], (block, len(row) // GROUP, ids[t] % ROWS, address(row)))
        for i in range(cols):
            out[t, i] = row[i]


@kernel(types.void(ADDRESSES, I64, I64, F32_READ, types.float32, OUTS, I64))
def _rms_norm(micro, x, pitch, weight, eps, outs, tokens):
    if tokens < SERIAL_TOKENS:
        for t in range(tokens):
            _rms_norm_row(micro, x + t * pitch, weight, eps, outs[0], t)
    else:
        for t in prange(tokens):
            _rms_norm_row(micro, x + t * pitch, weight, eps, outs[0], t)


@leaf
def _rms_norm_row(micro, x, weight, eps, out, t):
    call(micro[RMS_NORM], (x, address(weight), out.x + t * out.x_pitch, len(weight), eps))
    quantize_rows(micro, out, t, 1, 0, out.groups)


@kernel(
    types.void(
        ADDRESSES,
        I64,
        I64,
        F32_READ,
        types.float32,
        types.Array(types.uint8, 1, "C"),
        I64,
        I64,
        I64,
        types.Array(I64, 1, "C"),
        F32_2D_READ,
        F32_2D_READ,
        types.Array(I64, 1, "C", readonly=True),
        I64,
    )
)
def _write_latents(micro, ckv, pitch, weight, eps, data, begin, page_bytes, kind, widths, cos, sin, slots, tokens):
    if tokens < SERIAL_TOKENS:
        for t in range(tokens):
            page = address(data) + slots[t] // PAGE_TOKENS * page_bytes + begin
            _write_row(micro, ckv + t * pitch, weight, eps, cos[t], sin[t], page, slots[t] % PAGE_TOKENS, kind, widths)
    else:
        for t in prange(tokens):
            page = address(data) + slots[t] // PAGE_TOKENS * page_bytes + begin
            _write_row(micro, ckv + t * pitch, weight, eps, cos[t], sin[t], page, slots[t] % PAGE_TOKENS, kind, widths)


@leaf
def _write_row(micro, ckv, weight, eps, cos, sin, page, offset, kind, widths):
    """One token into its page."""
    latent, rope, latent_padded, rope_padded = widths[0], widths[1], widths[2], widths[3]
    width = latent_padded + rope_padded
    row = np.zeros(width, np.float32)
    call(micro[RMS_NORM], (ckv, address(weight), address(row), latent, eps))
    call(micro[ROTATE], (ckv + 4 * latent, address(cos), address(sin), address(row) + 4 * latent_padded, rope // 2))
    if kind == 2:
        block = page + offset // ROWS * (ROWS * width) + offset % ROWS * 4
        scales = page + PAGE_TOKENS * width + 4 * offset
        call(micro[STORE_INT8], (address(row), block, scales, width // CACHE_GROUP))
    elif kind == 1:
        call(micro[TO_F16], (address(row), page + offset * width * 2, width))
    else:
        call(micro[TO_F32], (address(row), page + offset * width * 4, width))
