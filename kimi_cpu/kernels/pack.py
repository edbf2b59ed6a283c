"""Packing of checkpoint tensors into rows16 blocks: the compiled twins of quant.rows16, without the GIL.

Each function packs a few rows on one thread; the converter runs one a core. quant.rows16 is the truth they are tested
against, bit for bit.
"""

import numpy as np
from numba import types

from ..quant.rows16 import BLOCK_BYTES, GROUP, ROWS, packed_bytes
from .jit import kernel, leaf


def _in(dtype, ndim):
    return types.Array(dtype, ndim, "C", readonly=True)


def _out(dtype):
    return types.Array(dtype, 1, "C")


def pack_int4(packed: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, int]:
    """(rows16 int4 bytes u8[n], number of scales that are NaN or infinite).

    packed i32[R, C/8] as compressed-tensors stores it (column 8w + k in bits 4k of word w), scales bf16 bits
    u16[R, C/32]. C a multiple of 32. Values and scales are moved, not changed.
    """
    rows, words = packed.shape
    out = np.empty(packed_bytes("int4", rows, 8 * words), np.uint8)
    bad = _pack_int4(_aligned(packed).view(np.uint32), _aligned(scales), out.view(np.uint32), out.view(np.uint16))
    return out, bad


def pack_q8(bits: np.ndarray) -> tuple[np.ndarray, int]:
    """(rows16 q8 bytes u8[n], number of values that are NaN or infinite) of bf16 bits u16[R, C]."""
    out = np.empty(packed_bytes("q8", *bits.shape), np.uint8)
    return out, _pack_q8_bf16(_aligned(bits), out.view(np.int8), out.view(np.uint16))


def pack_q8_f32(x: np.ndarray) -> tuple[np.ndarray, int]:
    """The same of f32[R, C]."""
    out = np.empty(packed_bytes("q8", *x.shape), np.uint8)
    return out, _pack_q8_f32(_aligned(x).view(np.uint32), out.view(np.int8), out.view(np.uint16))


def pack_bf16(bits: np.ndarray) -> tuple[np.ndarray, int]:
    """(rows16 bf16 bytes u8[n], number of values that are NaN or infinite) of bf16 bits u16[R, C]."""
    out = np.empty(packed_bytes("bf16", *bits.shape), np.uint8)
    return out, _pack_bf16(_aligned(bits), out.view(np.uint16))


def _aligned(x: np.ndarray) -> np.ndarray:
    """x, or a copy where its bytes begin at an odd place in the file."""
    return np.require(x, requirements=["C", "A"])


_INT4_WORDS = BLOCK_BYTES["int4"] // 4
_Q8_BYTES = BLOCK_BYTES["q8"]


@leaf
def _interleave(word):
    """Inputs 0..3 of a word into the low nibbles of four bytes, inputs 4..7 into the high ones."""
    low, high = word & np.uint32(0xFFFF), word >> np.uint32(16)
    low = (low | (low << np.uint32(8))) & np.uint32(0x00FF00FF)
    low = (low | (low << np.uint32(4))) & np.uint32(0x0F0F0F0F)
    high = (high | (high << np.uint32(8))) & np.uint32(0x00FF00FF)
    high = (high | (high << np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return low | (high << np.uint32(4))


@kernel(types.int64(_in(types.uint32, 2), _in(types.uint16, 2), _out(types.uint32), _out(types.uint16)), parallel=False)
def _pack_int4(packed, scales, out32, out16):
    rows, words = packed.shape
    groups = words // 4
    bad = 0
    for block in range((rows + ROWS - 1) // ROWS):
        count = min(ROWS, rows - ROWS * block)
        for group in range(groups):
            at = (block * groups + group) * _INT4_WORDS
            for r in range(count):
                scale = scales[ROWS * block + r, group]
                bad += (scale & 0x7F80) == 0x7F80
                out16[2 * at + r] = scale
            for r in range(count, ROWS):
                out16[2 * at + r] = 0
            for line in range(4):
                to = at + 8 + 16 * line
                if count == ROWS:  # a loop of known length: LLVM makes it gathers and one store
                    for r in range(ROWS):
                        out32[to + r] = _interleave(packed[ROWS * block + r, 4 * group + line])
                else:
                    for r in range(count):
                        out32[to + r] = _interleave(packed[ROWS * block + r, 4 * group + line])
                    for r in range(count, ROWS):
                        out32[to + r] = np.uint32(0x88888888)  # nibble 8 is the value 0
    return bad


@leaf
def _pack_q8(x, shift, out8, out16):
    """The q8 packer. x: bits of values, shifted left by `shift` those of an f32. Returns how many groups are bad."""
    rows, cols = x.shape
    groups = (cols + GROUP - 1) // GROUP
    bits = np.zeros(GROUP, np.uint32)
    values, q = bits.view(np.float32), np.empty(GROUP, np.int8)
    words, out32 = q.view(np.uint32), out8.view(np.uint32)
    bad = 0
    for block in range((rows + ROWS - 1) // ROWS):
        for r in range(ROWS):
            row = block * ROWS + r
            for group in range(groups):
                at = (block * groups + group) * _Q8_BYTES
                count = min(GROUP, cols - GROUP * group) if row < rows else 0
                if count < GROUP:
                    bits[:] = 0
                    for i in range(count):
                        bits[i] = np.uint32(x[row, GROUP * group + i]) << shift
                else:
                    for i in range(GROUP):
                        bits[i] = np.uint32(x[row, GROUP * group + i]) << shift
                peak = np.uint32(0)  # positive floats are ordered as their bits are: an integer maximum vectorises
                for i in range(GROUP):
                    peak = max(peak, bits[i] & np.uint32(0x7FFFFFFF))
                bad += peak >= np.uint32(0x7F800000)
                wide = np.float32(np.uint32(peak).view(np.float32) / np.float32(127)).view(np.uint32)
                top = (wide + np.uint32(0x7FFF) + ((wide >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
                scale = np.uint32(top << np.uint32(16)).view(np.float32)
                divisor = scale if scale != 0 else np.float32(np.inf)
                out16[at // 2 + r] = top
                for i in range(GROUP):
                    value = np.rint(values[i] / divisor)
                    q[i] = np.int8(min(max(value, np.float32(-127)), np.float32(127)))
                for line in range(8):
                    out32[at // 4 + 8 + 16 * line + r] = words[line]
    return bad


@kernel(types.int64(_in(types.uint16, 2), _out(types.int8), _out(types.uint16)), parallel=False)
def _pack_q8_bf16(x, out8, out16):
    return _pack_q8(x, np.uint32(16), out8, out16)


@kernel(types.int64(_in(types.uint32, 2), _out(types.int8), _out(types.uint16)), parallel=False)
def _pack_q8_f32(x, out8, out16):
    return _pack_q8(x, np.uint32(0), out8, out16)


@kernel(types.int64(_in(types.uint16, 2), _out(types.uint16)), parallel=False)
def _pack_bf16(bits, out16):
    rows, cols = bits.shape
    pairs = (cols + GROUP - 1) // GROUP * (GROUP // 2)
    bad = 0
    for block in range((rows + ROWS - 1) // ROWS):
        for r in range(ROWS):
            row = block * ROWS + r
            for pair in range(pairs):
                at = (block * pairs + pair) * 2 * ROWS + 2 * r
                for i in range(2):
                    col = 2 * pair + i
                    value = bits[row, col] if row < rows and col < cols else np.uint16(0)
                    bad += (value & 0x7F80) == 0x7F80
                    out16[at + i] = value
    return bad
