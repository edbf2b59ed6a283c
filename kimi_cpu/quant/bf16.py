"""bfloat16 as its bits in uint16: numpy has no such dtype."""

import numpy as np


def to_f32(bits: np.ndarray) -> np.ndarray:
    """f32 of the same shape, exact. bits u16[...]."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def from_f32(x: np.ndarray) -> np.ndarray:
    """bf16 bits u16[...], rounded to nearest even; a NaN stays a (quiet) NaN. x f32[...]."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(x), np.uint32(0x7FC0), rounded).astype(np.uint16)
