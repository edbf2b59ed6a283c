"""Values of stored weights as float32, type by type."""

import gguf
import numpy as np

from ..quant import bf16

NUMPY = {  # dtype of safetensors or GGUF: how its bytes are viewed
    **{"BOOL": np.uint8, "U8": np.uint8, "I8": np.int8, "F8_E4M3": np.uint8, "F8_E5M2": np.uint8, "F8_E8M0": np.uint8},
    **{"I16": np.int16, "U16": np.uint16, "F16": np.float16, "BF16": np.uint16, "I32": np.int32, "U32": np.uint32},
    **{"F32": np.float32, "F64": np.float64, "I64": np.int64, "U64": np.uint64},
}
FLOATS = ("F32", "F16", "BF16", "F8_E4M3")


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


def to_f32(dtype: str, raw: np.ndarray) -> np.ndarray:
    """f32 of the same shape. raw: elements as NUMPY views them, for dtype in FLOATS."""
    if dtype == "BF16":
        return bf16.to_f32(raw)
    if dtype == "F8_E4M3":
        return FLOAT8_E4M3[raw]
    return raw.astype(np.float32)


def scale_blocks(values: np.ndarray, scales: np.ndarray, start: int, block: tuple[int, int]) -> np.ndarray:
    """values f32[n, C] (rows start.. of a matrix) times scales f32[ceil(R/rows), ceil(C/cols)] of blocks (rows, cols).

    DeepSeek-V3, inference/kernel.py, weight_dequant: the stored weight_scale_inv multiplies, in spite of its name.
    """
    rows = np.arange(start, start + len(values)) // block[0]
    by_column = np.repeat(scales, block[1], axis=1)[:, : values.shape[1]]  # [row blocks, C]
    return values * by_column[rows]


def ggml_to_f32(dtype: str, raw: np.ndarray) -> np.ndarray:
    """f32[n, C] of rows in a GGUF block type. raw u8[n, bytes a row]."""
    return gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[dtype])


def unpack_nibbles(packed: np.ndarray) -> np.ndarray:
    """u8[n, C]: column 8w + j is bits 4j..4j+3 of word w (compressed-tensors pack-quantized). packed i32[n, C/8]."""
    low_first = packed.view(np.uint8)  # little-endian words: byte b holds columns 2b (low) and 2b + 1 (high)
    return np.stack([low_first & 15, low_first >> 4], axis=-1).reshape(len(packed), -1)
