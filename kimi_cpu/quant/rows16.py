"""The packed matrix layouts of the native file: 16 output rows side by side, so that one 64-byte load serves 16 rows.

A matrix W [rows, cols] (y = W x) is cut into row blocks of 16 rows; a row block is contiguous and holds its input
blocks of 32 columns one after the other. Rows are padded to 16 and columns to 32; padded values and scales are 0.

int4, 288 bytes a block of 16 rows x 32 inputs; value = (nibble - 8) * scale
    | 16 bf16 scales, 32 B | line 0 | line 1 | line 2 | line 3 |      a line is 64 B: row r at bytes 4r..4r+3
    line l, row r, byte j: low nibble = input 8l + j, high nibble = input 8l + 4 + j
    A padded nibble is 8 (value 0).

q8, 544 bytes a block; value = q * scale, q in -127..127
    | 16 bf16 scales, 32 B | line 0 | … | line 7 |                    line l, row r, byte j: input 4l + j

bf16, 1,024 bytes a block, no scales
    | line 0 | … | line 15 |                                          line l, row r: bf16 of inputs 2l, 2l + 1
"""

from typing import NamedTuple

import numpy as np

from . import bf16_to_f32, f32_to_bf16

ROWS = 16  # rows a block: the lanes of one 512-bit register of int32
GROUP = 32  # inputs that share a scale (config.json: group_size 32)
BLOCK_BYTES = {"int4": 288, "q8": 544, "bf16": 1024}  # one block of 16 rows x 32 inputs
KINDS = tuple(BLOCK_BYTES)


class Matrix(NamedTuple):
    """A packed matrix: kind, logical shape, and its bytes (uint8, flat, usually a read-only view of the file)."""

    kind: str
    rows: int
    cols: int
    data: np.ndarray


def pad(n: int, multiple: int) -> int:
    """n rounded up to a multiple."""
    return -(-n // multiple) * multiple


def packed_bytes(kind: str, rows: int, cols: int) -> int:
    """Bytes that a matrix [rows, cols] takes in a layout."""
    return pad(rows, ROWS) // ROWS * (pad(cols, GROUP) // GROUP) * BLOCK_BYTES[kind]


def pack_int4(nibbles: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Packed bytes u8[n]. nibbles u8[R, C] 0..15, scales (bf16 bits) u16[R, ceil(C / 32)]."""
    q = _padded(nibbles, GROUP, fill=8)  # [R16, C32]
    q = q.reshape(q.shape[0] // ROWS, ROWS, q.shape[1] // GROUP, 4, 2, 4)  # [block, row, group, line, low/high, byte]
    lines = (q[..., 0, :] | (q[..., 1, :] << np.uint8(4))).transpose(0, 2, 3, 1, 4)  # [block, group, line, row, byte]
    return _with_scales(scales, lines)


def pack_q8(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Packed bytes u8[n]. values i8[R, C], scales (bf16 bits) u16[R, ceil(C / 32)]. See quantize_q8."""
    q = _padded(values.view(np.uint8), GROUP)
    q = q.reshape(q.shape[0] // ROWS, ROWS, q.shape[1] // GROUP, 8, 4)  # [block, row, group, line, byte]
    return _with_scales(scales, q.transpose(0, 2, 3, 1, 4))


def pack_bf16(bits: np.ndarray) -> np.ndarray:
    """Packed bytes u8[n]. bits u16[R, C]."""
    b = _padded(bits, GROUP)
    b = b.reshape(b.shape[0] // ROWS, ROWS, b.shape[1] // 2, 2)  # [block, row, pair, 2]
    return np.ascontiguousarray(b.transpose(0, 2, 1, 3)).view(np.uint8).reshape(-1)


def unpack_int4(matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """(nibbles u8[R, C], scales (bf16 bits) u16[R, ceil(C / 32)]) of an int4 matrix."""
    scales, lines = _split_scales(matrix, lines=4)
    q = np.stack([lines & 15, lines >> 4], axis=-2)  # [block, group, line, row, low/high, byte]
    q = q.transpose(0, 3, 1, 2, 4, 5).reshape(lines.shape[0] * ROWS, -1)
    return q[: matrix.rows, : matrix.cols], scales


def unpack_q8(matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """(values i8[R, C], scales (bf16 bits) u16[R, ceil(C / 32)]) of a q8 matrix."""
    scales, lines = _split_scales(matrix, lines=8)
    q = lines.transpose(0, 3, 1, 2, 4).reshape(lines.shape[0] * ROWS, -1)
    return np.ascontiguousarray(q[: matrix.rows, : matrix.cols]).view(np.int8), scales


def unpack_bf16(matrix: Matrix) -> np.ndarray:
    """bf16 bits u16[R, C] of a bf16 matrix."""
    b = matrix.data.view(np.uint16).reshape(pad(matrix.rows, ROWS) // ROWS, -1, ROWS, 2)  # [block, pair, row, 2]
    return b.transpose(0, 2, 1, 3).reshape(b.shape[0] * ROWS, -1)[: matrix.rows, : matrix.cols]


def unpack(matrix: Matrix) -> np.ndarray:
    """The exact values f32[R, C] of any packed matrix."""
    if matrix.kind == "bf16":
        return bf16_to_f32(unpack_bf16(matrix))
    if matrix.kind == "int4":
        nibbles, scales = unpack_int4(matrix)
        values = nibbles.astype(np.float32) - np.float32(8)
    else:
        q, scales = unpack_q8(matrix)
        values = q.astype(np.float32)
    return values * np.repeat(bf16_to_f32(scales), GROUP, axis=1)[:, : matrix.cols]


def quantize_q8(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(values i8[R, C] in -127..127, scales (bf16 bits) u16[R, ceil(C / 32)]): absmax / 127 a group, bf16 scale.

    Values are rounded against the stored scale, so that rounding the scale costs nothing. x f32[R, C], finite.
    """
    rows, cols = x.shape
    groups = np.zeros((rows, pad(cols, GROUP)), np.float32)
    groups[:, :cols] = x
    groups = groups.reshape(rows, -1, GROUP)  # [R, groups, 32]
    scales = f32_to_bf16(np.abs(groups).max(-1) / np.float32(127))
    s = bf16_to_f32(scales)[..., None]
    q = np.rint(groups / np.where(s == 0, np.float32(1), s))
    q = np.where(s == 0, 0, np.clip(q, -127, 127)).astype(np.int8)
    return q.reshape(rows, -1)[:, :cols], scales


def quantize_int4(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(nibbles u8[R, C], scales (bf16 bits) u16[R, C / 32]) of x f32[R, C], C a multiple of 32, finite.

    Of the scales absmax / 7, / 7.5 and / 8 the one with the least squared error is kept, group by group.
    """
    rows, cols = x.shape
    groups = np.ascontiguousarray(x, np.float32).reshape(rows, cols // GROUP, GROUP)
    absmax = np.abs(groups).max(-1)
    best_error = np.full(absmax.shape, np.inf, np.float32)
    nibbles = np.full(groups.shape, 8, np.uint8)
    scales = np.zeros(absmax.shape, np.uint16)
    for divisor in (7.0, 7.5, 8.0):
        candidate = f32_to_bf16(absmax / np.float32(divisor))
        s = bf16_to_f32(candidate)[..., None]
        q = np.clip(np.rint(groups / np.where(s == 0, np.float32(1), s)), -8, 7)
        error = np.square(q * s - groups).sum(-1)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        nibbles = np.where(better[..., None], (q + 8).astype(np.uint8), nibbles)
        scales = np.where(better, candidate, scales)
    return nibbles.reshape(rows, cols), scales


def pack(kind: str, x: np.ndarray) -> np.ndarray:
    """Packed bytes u8[n] of x f32[R, C], quantised or rounded to the kind."""
    if kind == "bf16":
        return pack_bf16(f32_to_bf16(x))
    return pack_q8(*quantize_q8(x)) if kind == "q8" else pack_int4(*quantize_int4(x))


def _padded(x: np.ndarray, col_multiple: int, fill: int = 0) -> np.ndarray:
    rows, cols = x.shape
    out = np.full((pad(rows, ROWS), pad(cols, col_multiple)), fill, x.dtype)
    out[:rows, :cols] = x
    return out


def _with_scales(scales: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """scales u16[R, groups], lines u8[blocks, groups, lines, 16, 4] -> packed bytes u8[n]."""
    blocks, groups = lines.shape[:2]
    s = _padded(scales, 1).reshape(blocks, ROWS, groups).transpose(0, 2, 1)  # [block, group, row]
    s = np.ascontiguousarray(s).view(np.uint8).reshape(blocks, groups, 2 * ROWS)
    return np.concatenate([s, lines.reshape(blocks, groups, -1)], axis=2).reshape(-1)


def _split_scales(matrix: Matrix, lines: int) -> tuple[np.ndarray, np.ndarray]:
    """(scales u16[R, groups], lines u8[blocks, groups, lines, 16, 4]) of an int4 or q8 matrix."""
    blocks, groups = pad(matrix.rows, ROWS) // ROWS, pad(matrix.cols, GROUP) // GROUP
    data = matrix.data.reshape(blocks, groups, BLOCK_BYTES[matrix.kind])
    scales = np.ascontiguousarray(data[..., : 2 * ROWS]).view(np.uint16)  # [block, group, row]
    scales = scales.transpose(0, 2, 1).reshape(blocks * ROWS, groups)[: matrix.rows]
    return scales, data[..., 2 * ROWS :].reshape(blocks, groups, lines, ROWS, 4)
