"""Rotary positions with YaRN (Peng et al., 2023), as transformers computes them for DeepSeek-V3."""

import math

import numpy as np

from ..config import RopeScaling


class Rotation:
    """Turns positions into rotations."""

    def __init__(self, dim: int, theta: float, scaling: RopeScaling | None):
        """dim: values that are rotated in pairs."""
        self._inv_freq = inverse_frequencies(dim, theta, scaling)
        self._attention_factor = attention_factor(scaling)

    def cos_sin(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(cos, sin) f32[T, dim / 2] of positions i32[T]."""
        return cos_sin(positions, self._inv_freq, self._attention_factor)


def inverse_frequencies(dim: int, theta: float, scaling: RopeScaling | None) -> np.ndarray:
    """Radians that a position turns each pair, f32[dim / 2] (modeling_rope_utils.py: _compute_yarn_parameters)."""
    base = np.float32(theta) ** (np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim))
    if scaling is None:
        return np.float32(1) / base

    def correction(rotations: float) -> float:
        """The (fractional) pair that turns so often within the original context."""
        length = scaling.original_max_position_embeddings
        return dim * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(correction(scaling.beta_fast)), 0)
    high = min(math.ceil(correction(scaling.beta_slow)), dim - 1)
    span = high - low if high != low else 0.001  # the reference's guard against a division by zero
    ramp = np.clip((np.arange(dim // 2, dtype=np.float32) - low) / span, 0, 1).astype(np.float32)
    return np.float32(1) / (np.float32(scaling.factor) * base) * ramp + np.float32(1) / base * (1 - ramp)


def cos_sin(positions: np.ndarray, inv_freq: np.ndarray, attention_factor: float) -> tuple[np.ndarray, np.ndarray]:
    """(cos, sin) f32[T, dim / 2] of positions i32[T]. The angle is rounded to f32 first, as the reference does."""
    angles = positions.astype(np.float32)[:, None] * inv_freq  # [T, dim / 2]
    factor = np.float32(attention_factor)
    return np.cos(angles) * factor, np.sin(angles) * factor


def attention_factor(scaling: RopeScaling | None) -> float:
    """Multiplier of cos and sin (modeling_rope_utils.py: attention_factor)."""
    if scaling is None:
        return 1.0
    if scaling.mscale and scaling.mscale_all_dim:
        return _mscale(scaling.factor, scaling.mscale) / _mscale(scaling.factor, scaling.mscale_all_dim)
    return _mscale(scaling.factor, 1.0)


def softmax_scale(qk_head_dim: int, scaling: RopeScaling | None) -> float:
    """Multiplier of the attention scores (modeling_deepseek_v3.py: DeepseekV3Attention.scaling)."""
    scale = qk_head_dim**-0.5
    if scaling is not None and scaling.mscale_all_dim:
        scale *= _mscale(scaling.factor, scaling.mscale_all_dim) ** 2
    return scale


def _mscale(factor: float, mscale: float) -> float:
    return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0
