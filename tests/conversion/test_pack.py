"""The compiled packers equal the numpy layouts bit for bit."""

import numpy as np
import pytest

from kimi_cpu.kernels import pack
from kimi_cpu.quant import bf16_to_f32, f32_to_bf16, rows16

SHAPES = [(16, 32), (1, 64), (33, 96), (48, 1), (5, 31), (17, 65)]
rng = np.random.default_rng(0)


def values(rows, cols):
    """Values of many sizes: zeros, denormals, a group of one value."""
    x = rng.standard_normal((rows, cols)).astype(np.float32) * 10.0 ** rng.integers(-6, 6, (rows, 1))
    x = x.astype(np.float32)
    x[0] = 0
    if rows > 1:
        x[1] = 1e-41
    return x


@pytest.mark.parametrize(("rows", "cols"), [s for s in SHAPES if s[1] % 32 == 0])
def test_int4_moves_every_nibble_and_scale(rows, cols):
    nibbles = rng.integers(0, 16, (rows, cols), dtype=np.uint8)
    scales = rng.integers(0, 0x7F80, (rows, cols // 32), dtype=np.uint16)
    words = nibbles.reshape(rows, -1, 8).astype(np.uint32) << (4 * np.arange(8, dtype=np.uint32))
    data, bad = pack.pack_int4(words.sum(-1, dtype=np.uint32).view(np.int32), scales)
    assert bad == 0
    np.testing.assert_array_equal(data, rows16.pack_int4(nibbles, scales))


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_q8_equals_the_numpy_quantisation(rows, cols):
    x = values(rows, cols)
    data, bad = pack.pack_q8_f32(x)
    np.testing.assert_array_equal(data, rows16.pack("q8", x))
    bits = f32_to_bf16(x)
    np.testing.assert_array_equal(pack.pack_q8(bits)[0], rows16.pack("q8", bf16_to_f32(bits)))
    assert bad == 0


@pytest.mark.parametrize(("rows", "cols"), [s for s in SHAPES if s[1] % 32 == 0] + [(160, 320)])
def test_int4_equals_the_numpy_quantisation(rows, cols):
    x = values(rows, cols)
    data, bad = pack.pack_int4_f32(x)
    np.testing.assert_array_equal(data, rows16.pack("int4", x))
    assert bad == 0


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_bf16_moves_every_value(rows, cols):
    bits = f32_to_bf16(values(rows, cols))
    np.testing.assert_array_equal(pack.pack_bf16(bits)[0], rows16.pack_bf16(bits))


@pytest.mark.parametrize("bits", [0x7F80, 0xFF80, 0x7FC0, 0xFFFF])
def test_infinity_and_nan_are_counted(bits):
    x = np.zeros((16, 32), np.uint16)
    x[3, 7] = bits
    assert pack.pack_bf16(x)[1] == 1
    assert pack.pack_q8(x)[1] == 1
    assert pack.pack_q8_f32(bf16_to_f32(x))[1] == 1
    assert pack.pack_int4_f32(bf16_to_f32(x))[1] == 1
    assert pack.pack_int4(np.zeros((16, 4), np.int32), x[:, 7:8])[1] == 1


def test_bytes_at_an_odd_place_are_packed_too():
    raw = rng.integers(0, 256, 16 * 32 * 2 + 1, dtype=np.uint8)
    odd = np.frombuffer(raw.tobytes(), np.uint8)[1:].view(np.uint16).reshape(16, 32) & 0x3FFF
    np.testing.assert_array_equal(pack.pack_bf16(odd)[0], rows16.pack_bf16(odd))


def test_results_begin_at_a_page():
    for data, _ in (pack.pack_bf16(np.zeros((16, 32), np.uint16)), pack.pack_int4_f32(np.zeros((3, 32), np.float32))):
        assert data.ctypes.data % 4096 == 0 and data.flags.c_contiguous
