"""Packing of checkpoint tensors into rows16 blocks, or GGUF's standard ones, row by row, without the GIL.

    rows16 int4, q8, bf16: drawn in quant/rows16.py, which is the truth they are tested against, bit for bit
    Q4_0, 32 inputs in 18 bytes: f16 scale, 16 bytes: byte k holds inputs k (low nibble), k + 16 (high); (q - 8) * scale
    Q8_0, 32 inputs in 34 bytes: f16 scale, 32 int8; q * scale (ggml: block_q4_0, block_q8_0)

Each function packs a few rows on one thread; the converter runs one a core. Numba knows no float16 on CPUs: the bits
are made here.
"""

import numpy as np
from numba import types

from ..quant.rows16 import BLOCK_BYTES, GROUP, ROWS, packed_bytes
from .codegen.jit import kernel, leaf

PAGE = 4096  # results begin at a multiple of it: such bytes go to a disk without a copy
Q4_0_BYTES, Q8_0_BYTES = 18, 34
_INT4_WORDS = BLOCK_BYTES["int4"] // 4
_Q8_BYTES = BLOCK_BYTES["q8"]


def pack_int4(packed: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, int]:
    """(rows16 int4 bytes u8[n], number of scales that are NaN or infinite).

    packed i32[R, C/8] as compressed-tensors stores it (column 8w + k in bits 4k of word w), scales bf16 bits
    u16[R, C/32]. C a multiple of 32. Values and scales are moved, not changed.
    """
    rows, words = packed.shape
    out = _empty("int4", rows, 8 * words)
    bad = _pack_int4(_aligned(packed).view(np.uint32), _aligned(scales), out.view(np.uint32), out.view(np.uint16))
    return out, bad


def pack_int4_f32(x: np.ndarray) -> tuple[np.ndarray, int]:
    """(rows16 int4 bytes u8[n], number of values that are NaN or infinite) of f32[R, C], C a multiple of 32.

    Quantised as quant.rows16.quantize_int4 does.
    """
    out = _empty("int4", *x.shape)
    return out, _pack_int4_f32(_aligned(x), out.view(np.uint32), out.view(np.uint16))


def pack_q8(bits: np.ndarray) -> tuple[np.ndarray, int]:
    """(rows16 q8 bytes u8[n], number of values that are NaN or infinite) of bf16 bits u16[R, C]."""
    out = _empty("q8", *bits.shape)
    return out, _pack_q8_bf16(_aligned(bits), out.view(np.int8), out.view(np.uint16))


def pack_q8_f32(x: np.ndarray) -> tuple[np.ndarray, int]:
    """`pack_q8` of f32[R, C]."""
    out = _empty("q8", *x.shape)
    return out, _pack_q8_f32(_aligned(x).view(np.uint32), out.view(np.int8), out.view(np.uint16))


def pack_bf16(bits: np.ndarray) -> tuple[np.ndarray, int]:
    """(rows16 bf16 bytes u8[n], number of values that are NaN or infinite) of bf16 bits u16[R, C]."""
    out = _empty("bf16", *bits.shape)
    return out, _pack_bf16(_aligned(bits), out.view(np.uint16))


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
    """`pack_q8_0` of f32[R, C]."""
    out = np.empty(x.size // GROUP * Q8_0_BYTES, np.uint8)
    return out, _pack_q8_0_f32(_aligned(x).view(np.uint32), out.view(np.int8), out.view(np.uint16))


def _empty(kind: str, rows: int, cols: int) -> np.ndarray:
    nbytes = packed_bytes(kind, rows, cols)
    room = np.empty(nbytes + PAGE, np.uint8)
    start = -room.ctypes.data % PAGE
    return room[start : start + nbytes]


def _aligned(x: np.ndarray) -> np.ndarray:
    """x, or a copy where its bytes begin at an odd place in the file."""
    return np.require(x, requirements=["C", "A"])


def _in(dtype):
    return types.Array(dtype, 2, "C", readonly=True)


def _out(dtype):
    return types.Array(dtype, 1, "C")


@leaf
def _interleave(word):
    """Inputs 0..3 of a word into the low nibbles of four bytes, inputs 4..7 into the high ones."""
    low, high = word & np.uint32(0xFFFF), word >> np.uint32(16)
    low = (low | (low << np.uint32(8))) & np.uint32(0x00FF00FF)
    low = (low | (low << np.uint32(4))) & np.uint32(0x0F0F0F0F)
    high = (high | (high << np.uint32(8))) & np.uint32(0x00FF00FF)
    high = (high | (high << np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return low | (high << np.uint32(4))


@kernel(types.int64(_in(types.uint32), _in(types.uint16), _out(types.uint32), _out(types.uint16)), parallel=False)
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
def _bf16_bits(bits):
    """f32 given as bits, rounded to nearest even: bf16 bits, u32."""
    return (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)


@leaf
def _quantize_int4(x, start, divisor, peak, out, sums):
    """(bf16 bits of the scale peak / divisor, squared error) of a group; out u8[32] takes its nibbles.

    x f32[C], the group begins at start. The sum is in the order of numpy's pairwise sum over 32 elements, so that the
    same scale is chosen.
    """
    top = np.uint32(_bf16_bits(np.float32(peak / divisor).view(np.uint32)))
    scale = np.uint32(top << np.uint32(16)).view(np.float32)
    by = scale if scale != 0 else np.float32(1)
    for j in range(8):
        sums[j] = 0
    for i in range(0, GROUP, 8):
        for j in range(8):
            value = x[start + i + j]
            steps = min(max(np.rint(np.float32(value / by)), np.float32(-8)), np.float32(7))
            out[i + j] = np.uint8(steps + np.float32(8))
            error = np.float32(np.float32(steps * scale) - value)
            sums[j] += np.float32(error * error)
    return top, ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))


@kernel(types.int64(_in(types.float32), _out(types.uint32), _out(types.uint16)), parallel=False)
def _pack_int4_f32(x, out32, out16):
    rows, groups = x.shape[0], x.shape[1] // GROUP
    nibbles, trial, sums = np.empty(GROUP, np.uint8), np.empty(GROUP, np.uint8), np.empty(8, np.float32)
    bad = 0
    for block in range((rows + ROWS - 1) // ROWS):
        for r in range(ROWS):
            row = block * ROWS + r
            for group in range(groups):
                at = (block * groups + group) * _INT4_WORDS
                scale, best = np.uint32(0), np.float32(np.inf)
                nibbles[:] = 8
                if row < rows:
                    peak = np.float32(0)
                    for i in range(GROUP):
                        size = abs(x[row, GROUP * group + i])
                        bad += not size < np.float32(np.inf)
                        peak = max(peak, size)
                    for divisor in (np.float32(7), np.float32(7.5), np.float32(8)):
                        top, error = _quantize_int4(x[row], GROUP * group, divisor, peak, trial, sums)
                        if error < best:
                            scale, best = top, error
                            for i in range(GROUP):
                                nibbles[i] = trial[i]
                out16[2 * at + r] = scale
                for line in range(4):
                    word = np.uint32(0)
                    for j in range(4):
                        pair = nibbles[8 * line + j] | (nibbles[8 * line + 4 + j] << np.uint8(4))
                        word |= np.uint32(pair & np.uint8(0xFF)) << np.uint32(8 * j)
                    out32[at + 8 + 16 * line + r] = word
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


@kernel(types.int64(_in(types.uint16), _out(types.int8), _out(types.uint16)), parallel=False)
def _pack_q8_bf16(x, out8, out16):
    return _pack_q8(x, np.uint32(16), out8, out16)


@kernel(types.int64(_in(types.uint32), _out(types.int8), _out(types.uint16)), parallel=False)
def _pack_q8_f32(x, out8, out16):
    return _pack_q8(x, np.uint32(0), out8, out16)


@kernel(types.int64(_in(types.uint16), _out(types.uint16)), parallel=False)
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
