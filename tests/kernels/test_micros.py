"""Micro-kernels by themselves, where a kernel's tolerance would hide a fault: exact or nearly so."""

import ctypes

import numpy as np
import pytest

from kimi_cpu.kernels import runtime
from kimi_cpu.kernels.micro import INDEX

from .test_cases import tier  # noqa: F401, the fixture

EVERY_F16 = np.arange(1 << 16, dtype=np.uint16)


def call(name, *arguments):
    """Calls a micro-kernel of the tier in use with arrays and numbers."""
    kinds = [ctypes.c_float if isinstance(a, float) else ctypes.c_int64 for a in arguments]
    values = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    ctypes.CFUNCTYPE(None, *kinds)(int(runtime.library().addresses[INDEX[name]]))(*values)


def test_f16_becomes_f32_exactly(tier):  # noqa: F811
    ours = np.zeros(len(EVERY_F16), np.float32)
    call("from_f16", EVERY_F16, ours, len(EVERY_F16))
    with np.errstate(invalid="ignore"):  # signalling NaNs
        truth = EVERY_F16.view(np.float16).astype(np.float32)
    assert np.array_equal(np.isnan(ours), np.isnan(truth))
    assert np.array_equal(ours[~np.isnan(truth)].view(np.uint32), truth[~np.isnan(truth)].view(np.uint32))


def test_f32_is_rounded_to_f16_as_numpy_rounds(tier):  # noqa: F811
    halves = EVERY_F16[np.isfinite(EVERY_F16.view(np.float16))].view(np.float16).astype(np.float32)
    x = np.concatenate(
        [halves, np.nextafter(halves, np.inf), np.nextafter(halves, -np.inf), (halves[1:] + halves[:-1]) / 2]
    )
    middle = x[np.isfinite(x)]
    x = np.concatenate([middle, np.nextafter(middle, np.inf), [np.inf, -np.inf, np.nan, 65519.9, 65520, 1e30, 1e-45]])
    x = x.astype(np.float32)
    ours = np.zeros(len(x), np.float16)
    call("to_f16", x, ours, len(x))
    with np.errstate(over="ignore"):
        truth = x.astype(np.float16)
    assert np.array_equal(np.isnan(ours), np.isnan(truth))
    assert np.array_equal(ours[~np.isnan(truth)].view(np.uint16), truth[~np.isnan(truth)].view(np.uint16))


def test_sigmoid_is_right_to_some_units_in_the_last_place(tier):  # noqa: F811
    x = np.concatenate([np.linspace(-87.2, 87.2, 100_001), np.linspace(-1, 1, 10_001), [0, 1e-30, -1e-30]])
    x = x.astype(np.float32)
    ours = np.zeros_like(x)
    call("sigmoid", x, ours, len(x))
    truth = 1 / (1 + np.exp(-x.astype(np.float64)))
    assert (np.abs(ours - truth) <= 5e-7 * truth).all()


def test_sigmoid_ends(tier):  # noqa: F811
    x = np.array([-3e38, -np.inf, -104, 88.8, 104, 3e38, np.inf, np.nan, -87.4, -88.7], np.float32)
    ours = np.zeros_like(x)
    call("sigmoid", x, ours, len(x))
    assert np.isnan(ours[7])
    assert (ours[[0, 1, 2]] <= 1e-37).all()
    assert (ours[[3, 4, 5, 6]] == 1).all()
    assert (ours[[8, 9]] < 1.2e-38).all()


@pytest.mark.parametrize("group", [32, 64])
@pytest.mark.parametrize("size", [1.0, 1e-44, 3e-43, 1e-39, 3e37])
def test_groups_are_rounded_bit_for_bit(group, size, tier):  # noqa: F811
    x = (np.random.default_rng(0).standard_normal((40, group)) * size).astype(np.float32)
    x[1], x[2, 3], x[3, 5], x[4] = 0, np.nan, np.inf, np.where(np.arange(group) % 2, 1, -1) * 0.5 * size
    q, s = np.zeros((40, group), np.int8), np.zeros((40, 4), np.float32)
    call("quantize" if group == 32 else "quantize_64", x, q, s, 40)
    scale = np.abs(x).max(1) / np.float32(127)
    usable = np.isfinite(scale) & (scale > 0)
    with np.errstate(all="ignore"):
        truth = np.clip(np.rint(x / np.where(usable, scale, np.float32(1))[:, None]), -127, 127)
    truth = np.where(usable[:, None], truth, 0).astype(np.int8)
    assert np.array_equal(q, truth)
    assert np.array_equal(s[:, 0], scale, equal_nan=True)
    sums = truth.sum(1, dtype=np.int32)
    assert np.array_equal(s.view(np.int32)[:, 1:3], np.stack([-8 * sums, -128 * sums], 1))


@pytest.mark.parametrize("count", [1, 15, 16, 33])
def test_rows_beyond_the_count_are_left_alone(count, tier):  # noqa: F811
    source = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    count = min(count, 16)
    for name in ("put", "add", "clear"):
        target = np.full((3, 20), 7, np.float32)
        arguments = (target, 80, 3, count)
        call(name, *(arguments if name == "clear" else (source, *arguments)))
        expected = np.full((3, 20), 7, np.float32)
        expected[:, :count] = {"put": source, "add": source + 7, "clear": source * 0}[name][:, :count]
        assert np.array_equal(target, expected)


def test_online_softmax_forgets_nothing_from_page_to_page(tier):  # noqa: F811
    rng, columns, keys = np.random.default_rng(0), 16, 64
    state = np.zeros((3, columns), np.float32)
    state[0] = -np.inf
    limits = np.array([0, 1, 63, 64, 100, 127, 5, 70] * 2, np.int32)
    s = [rng.standard_normal((keys, columns)).astype(np.float32) * 5 for _ in range(2)]
    seen = np.concatenate(s) * np.float32(0.5)
    seen = np.where(np.arange(128)[:, None] <= limits, seen, -np.inf).astype(np.float64)
    for page in range(2):
        old = state[0].copy()
        p = s[page].copy()
        call("attention_softmax", p, 4 * columns, keys, 64 * page, limits, state, columns, 0.5)
        top = seen[: 64 * (page + 1)].max(0)
        assert np.allclose(state[0], top, rtol=1e-6)
        assert np.allclose(state[1], np.exp(seen[: 64 * (page + 1)] - top).sum(0), rtol=2e-6)
        assert np.allclose(p, np.exp(seen[64 * page :][:64] - top), rtol=2e-6, atol=1e-37)
        assert np.allclose(state[2], np.exp(old.astype(np.float64) - top), rtol=2e-6, atol=1e-37)
