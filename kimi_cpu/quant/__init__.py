"""The packed block layouts, with numpy pack and unpack as the truth (rows16.py), and bfloat16 as its bits in uint16, as
numpy has no such dtype."""

import numpy as np


def bf16_to_f32(bits: np.ndarray) -> np.ndarray:
    """f32 of the same shape, exact. bits u16[...]."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def f32_to_bf16(x: np.ndarray) -> np.ndarray:
    """bf16 bits u16[...], rounded to nearest even; a NaN stays a (quiet) NaN. x f32[...]."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(x), np.uint32(0x7FC0), rounded).astype(np.uint16)
