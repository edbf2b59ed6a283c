"""The standard blocks equal what the gguf package reads back, and numpy's float16, bit for bit."""

import gguf
import numpy as np
import pytest

from kimi_cpu.kernels import pack
from kimi_cpu.quant import bf16_to_f32, f32_to_bf16

Q4_0, Q8_0 = gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q8_0
rng = np.random.default_rng(0)


def dequantize(data, rows, kind):
    return gguf.quants.dequantize(data.reshape(rows, -1), kind)


def random_int4(rows, cols, scales):
    nibbles = rng.integers(0, 16, (rows, cols), dtype=np.uint8)
    words = nibbles.reshape(rows, -1, 8).astype(np.uint32) << (4 * np.arange(8, dtype=np.uint32))
    packed = words.sum(-1, dtype=np.uint32).view(np.int32)
    return packed, nibbles.astype(np.float32) - 8, np.repeat(bf16_to_f32(scales), 32, axis=1)


def test_q4_0_holds_the_same_values_where_float16_holds_the_scale():
    scales = f32_to_bf16((rng.standard_normal((5, 3)) * 0.01).astype(np.float32))
    packed, codes, wide = random_int4(5, 96, scales)
    data, rounded, impossible = pack.pack_q4_0(packed, scales)
    np.testing.assert_array_equal(dequantize(data, 5, Q4_0), codes * wide)
    assert (rounded, impossible) == (0, 0)


def test_every_scale_becomes_the_nearest_float16_and_the_others_are_counted():
    scales = np.arange(0x10000, dtype=np.uint16).reshape(256, 256)  # every bf16
    packed, codes, _ = random_int4(256, 256 * 32, scales)
    data, rounded, impossible = pack.pack_q4_0(packed, scales)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = bf16_to_f32(scales)
        half = exact.astype(np.float16)
    stored = data.reshape(-1, 18)[:, :2].copy().view(np.float16).reshape(256, 256)
    finite = np.isfinite(half)
    np.testing.assert_array_equal(stored[finite], half[finite])
    assert impossible == np.count_nonzero(~finite)
    assert rounded == np.count_nonzero(half[finite].astype(np.float32) != exact[finite])


@pytest.mark.parametrize("size", [1e-9, 1e-5, 1.0, 1e4])
def test_q8_0_rounds_against_the_stored_scale(size):
    x = f32_to_bf16((rng.standard_normal((7, 96)) * size).astype(np.float32))
    values = bf16_to_f32(x)
    groups = values.reshape(7, 3, 32)
    scales = (np.abs(groups).max(-1) / np.float32(127)).astype(np.float16).astype(np.float32)[..., None]
    codes = np.clip(np.rint(groups / np.where(scales == 0, np.inf, scales)), -127, 127)
    for data, bad in (pack.pack_q8_0(x), pack.pack_q8_0_f32(values)):
        np.testing.assert_array_equal(dequantize(data, 7, Q8_0), (codes * scales).reshape(7, 96))
        assert bad == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_q8_0_counts_groups_that_it_cannot_hold(value):
    x = np.ones((2, 64), np.float32)
    x[1, 40] = value
    assert pack.pack_q8_0_f32(x)[1] == 1
