"""Packing of checkpoint tensors into GGUF's standard blocks, row by row, without the GIL. ggml: block_q4_0, block_q8_0.

    Q4_0, 32 inputs in 18 bytes: f16 scale, 16 bytes: byte k holds inputs k (low nibble), k + 16 (high); (q - 8) * scale
    Q8_0, 32 inputs in 34 bytes: f16 scale, 32 int8; q * scale

Each function packs a few rows on one thread; the converter runs one a core. Numba knows no float16 on CPUs: the bits
are made here.
"""

import numpy as np
from numba import types

from ..quant.rows16 import GROUP
from .codegen.jit import kernel, leaf

Q4_0_BYTES, Q8_0_BYTES = 18, 34


def pack_q4_0(packed: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, int, int]:
    """(Q4_0 bytes u8[n], scales that f16 rounds, scales that f16 cannot hold at all: too large, infinite or NaN).

    packed i32[R, C/8] as compressed-tensors stores it (column 8w + k in bits 4k of word w), scales bf16 bits
    u16[R, C/32]. Nibbles are moved, not changed.
    """
    out, counts = np.empty(scales.size * Q4_0_BYTES, np.uint8), np.zeros(2, np.int64)
    _pack_q4_0(_aligned(packed).view(np.uint32), _aligned(scales), out.view(np.uint16), counts)
    return out, int(counts[0]), int(counts[1])


def pack_q8_0(bits: np.ndarray) -> tuple[np.ndarray, int]:
    """(Q8_0 bytes u8[n], groups with a value that is NaN, infinite or too large) of bf16 bits u16[R, C].

    scale = absmax / 127 rounded to f16, q = rint(x / scale) with the rounded scale. C a multiple of 32.
    """
    out = np.empty(bits.size // GROUP * Q8_0_BYTES, np.uint8)
    return out, _pack_q8_0_bf16(_aligned(bits), out.view(np.int8), out.view(np.uint16))


def pack_q8_0_f32(x: np.ndarray) -> tuple[np.ndarray, int]:
    """The same of f32[R, C]."""
    out = np.empty(x.size // GROUP * Q8_0_BYTES, np.uint8)
    return out, _pack_q8_0_f32(_aligned(x).view(np.uint32), out.view(np.int8), out.view(np.uint16))


def _aligned(x: np.ndarray) -> np.ndarray:
    """x, or a copy where its bytes begin at an odd place in the file."""
    return np.require(x, requirements=["C", "A"])


def _in(dtype):
    return types.Array(dtype, 2, "C", readonly=True)


def _out(dtype):
    return types.Array(dtype, 1, "C")


@leaf
def _to_f16(bits):
    """f16 bits of a positive f32 given as bits, rounded to nearest even; 0x7C00 (infinity) for what is too large."""
    if bits >= np.uint32(0x477FF000):  # 65520 rounds up to infinity
        return np.uint32(0x7C00)
    if bits >= np.uint32(0x38800000):  # 2^-14, the least normal number
        wide = np.uint32(bits - np.uint32(0x38000000))  # exponent bias 127 -> 15
        return np.uint32(wide + np.uint32(0xFFF) + ((wide >> np.uint32(13)) & np.uint32(1))) >> np.uint32(13)
    half = np.float32(np.uint32(bits).view(np.float32) + np.float32(0.5))  # the addition rounds to multiples of 2^-24
    return np.uint32(half.view(np.uint32) - np.uint32(0x3F000000))


@leaf
def _from_f16(half):
    """f32 of positive, finite f16 bits."""
    if half >= np.uint32(0x400):
        return np.uint32((half << np.uint32(13)) + np.uint32(0x38000000)).view(np.float32)
    return np.float32(np.float32(half) * np.float32(2.0**-24))


@leaf
def _spread(word):
    """Eight nibbles of a u32 as the low nibbles of eight bytes of a u64."""
    x = np.uint64(word)
    x = (x | (x << np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    x = (x | (x << np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    return (x | (x << np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)


@kernel(types.void(_in(types.uint32), _in(types.uint16), _out(types.uint16), _out(types.int64)), parallel=False)
def _pack_q4_0(packed, scales, out16, counts):
    rows, groups = scales.shape
    for row in range(rows):
        for group in range(groups):
            at = (row * groups + group) * (Q4_0_BYTES // 2)
            sign = np.uint32(scales[row, group] & np.uint16(0x8000))
            bits = np.uint32(np.uint32(scales[row, group] & np.uint16(0x7FFF)) << np.uint32(16))
            half = _to_f16(bits)
            if half >= np.uint32(0x7C00):
                counts[1] += 1
            elif _from_f16(half) != bits.view(np.float32):
                counts[0] += 1
            out16[at] = np.uint16(sign | half)
            for i in range(2):
                low = _spread(packed[row, 4 * group + i])
                both = low | (_spread(packed[row, 4 * group + 2 + i]) << np.uint64(4))
                for j in range(4):
                    out16[at + 1 + 4 * i + j] = np.uint16((both >> np.uint64(16 * j)) & np.uint64(0xFFFF))


def _q8_0_body(load):
    """The Q8_0 packer over a way to load a value as the bits of an f32."""

    def pack(x, out8, out16):
        rows, cols = x.shape
        bits = np.zeros(GROUP, np.uint32)
        values = bits.view(np.float32)
        bad, at = 0, 0
        for row in range(rows):
            for group in range(cols // GROUP):
                peak = np.uint32(0)  # positive floats are ordered as their bits are
                for i in range(GROUP):
                    bits[i] = load(x, row, GROUP * group + i)
                    peak = max(peak, bits[i] & np.uint32(0x7FFFFFFF))
                exact = np.float32(np.uint32(peak).view(np.float32) / np.float32(127))
                half = _to_f16(exact.view(np.uint32))
                bad += half >= np.uint32(0x7C00)
                scale = _from_f16(half)
                divisor = scale if scale != 0 else np.float32(np.inf)
                out16[at // 2] = np.uint16(half)
                for i in range(GROUP):
                    value = np.rint(values[i] / divisor)
                    out8[at + 2 + i] = np.int8(min(max(value, np.float32(-127)), np.float32(127)))
                at += Q8_0_BYTES
        return bad

    return pack


@leaf
def _load_bf16(x, row, col):
    return np.uint32(np.uint32(x[row, col]) << np.uint32(16))


@leaf
def _load_f32(x, row, col):
    return x[row, col]


_pack_q8_0_bf16 = kernel(types.int64(_in(types.uint16), _out(types.int8), _out(types.uint16)), parallel=False)(
    _q8_0_body(_load_bf16)
)
_pack_q8_0_f32 = kernel(types.int64(_in(types.uint32), _out(types.int8), _out(types.uint16)), parallel=False)(
    _q8_0_body(_load_f32)
)
