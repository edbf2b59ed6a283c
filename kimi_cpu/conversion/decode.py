"""Values of stored weights as float32, type by type."""

from functools import cache

import numpy as np

from ..quant import bf16

NUMPY = {  # dtype of safetensors or GGUF: how its bytes are viewed
    **{"BOOL": np.uint8, "U8": np.uint8, "I8": np.int8, "F8_E4M3": np.uint8, "F8_E5M2": np.uint8, "F8_E8M0": np.uint8},
    **{"I16": np.int16, "U16": np.uint16, "F16": np.float16, "BF16": np.uint16, "I32": np.int32, "U32": np.uint32},
    **{"F32": np.float32, "F64": np.float64, "I64": np.int64, "U64": np.uint64},
}
FLOATS = ("F32", "F16", "BF16", "F8_E4M3")  # of safetensors
GROUP = 32  # inputs that share a scale
CHUNK_BYTES = 4 << 20  # of blocks, decoded at a time
Q4_0_BYTES = 18  # ggml: block_q4_0, an f16 scale and 32 nibbles


def float8_e4m3_values() -> np.ndarray:
    """f32[256]: the value of each E4M3FN byte: sign, 4 bits of exponent (bias 7), 3 of mantissa; 0x7F and 0xFF NaN.

    Micikevicius et al., "FP8 Formats for Deep Learning" (2022), table 1.
    """
    code = np.arange(256)
    exponent, mantissa = (code >> 3) & 15, code & 7
    size = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
    size[[0x7F, 0xFF]] = np.nan
    return np.where(code < 128, size, -size).astype(np.float32)


FLOAT8_E4M3 = float8_e4m3_values()


@cache
def can_decode(dtype: str) -> bool:
    """Whether to_f32 knows a dtype, of safetensors or of GGUF."""
    if dtype in FLOATS:
        return True
    import gguf  # 0.3 s: not before a GGUF type asks for it

    kind = gguf.GGMLQuantizationType[dtype]
    try:
        gguf.quants.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def to_f32(dtype: str, raw: np.ndarray) -> np.ndarray:
    """f32 of the values. raw: elements as NUMPY views them, or rows u8[..., bytes a row] of a GGUF block type."""
    if dtype == "BF16":
        return bf16.to_f32(raw)
    if dtype == "F8_E4M3":
        return FLOAT8_E4M3[raw]
    if dtype in NUMPY:
        return raw.astype(np.float32)
    import gguf

    return gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[dtype])


def scale_blocks(values: np.ndarray, scales: np.ndarray, start: int, block: tuple[int, int]) -> np.ndarray:
    """values f32[n, C] (rows start.. of a matrix) times scales f32[ceil(R/rows), ceil(C/cols)] of blocks (rows, cols).

    DeepSeek-V3, inference/kernel.py, weight_dequant: the stored weight_scale_inv multiplies, in spite of its name.
    """
    rows = np.arange(start, start + len(values)) // block[0]
    by_column = np.repeat(scales, block[1], axis=1)[:, : values.shape[1]]  # [row blocks, C]
    return values * by_column[rows]


def unpack_nibbles(packed: np.ndarray) -> np.ndarray:
    """u8[n, C]: column 8w + j is bits 4j..4j+3 of word w (compressed-tensors pack-quantized). packed i32[n, C/8]."""
    low_first = packed.view(np.uint8)  # little-endian words: byte b holds columns 2b (low) and 2b + 1 (high)
    return np.stack([low_first & 15, low_first >> 4], axis=-1).reshape(len(packed), -1)


def q4_0_to_int4(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """(packed i32[n, C/8] as in compressed-tensors, scales (bf16 bits) u16[n, C/32], scales that bf16 had to round).

    raw u8[n, bytes a row] of Q4_0: a block is an f16 scale and 16 bytes; byte k holds columns k (low) and k + 16.
    """
    num_blocks = raw.shape[1] // Q4_0_BYTES
    packed = np.empty((len(raw), num_blocks * GROUP // 2), np.uint8)
    scales, rounded = np.empty((len(raw), num_blocks), np.uint16), 0
    step = max(1, CHUNK_BYTES // raw.shape[1])  # an embedding table has 660 MB, and what stands between is larger
    for start in range(0, len(raw), step):
        blocks = raw[start : start + step].reshape(-1, num_blocks, Q4_0_BYTES)
        exact = blocks[..., :2].copy().view(np.float16)[..., 0].astype(np.float32)  # [step, blocks]
        scales[start : start + step] = bf16.from_f32(exact)
        halves = np.concatenate([blocks[..., 2:] & 15, blocks[..., 2:] >> 4], axis=-1)  # [step, blocks, 32] by column
        nibbles = halves[..., 0::2] | (halves[..., 1::2] << np.uint8(4))
        packed[start : start + step] = nibbles.reshape(len(blocks), -1)
        rounded += int(np.count_nonzero(bf16.to_f32(scales[start : start + step]) != exact))
    return packed.view(np.int32), scales, rounded
