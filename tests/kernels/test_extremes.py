"""Numbers at the edges: denormal and largest scales, saturating integers, zeros, NaN and infinity, on every tier."""

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import cases, reference
from kimi_cpu.quant import f32_to_bf16, rows16

from .test_cases import tier  # noqa: F401, the fixture

COLS, ROWS = 96, 32


def matrix(kind, scale, sign):
    """A matrix of the largest magnitudes that a kind has, all of one sign or mixed (sign 0), times a scale."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1, 1], (ROWS, COLS)) if sign == 0 else np.full((ROWS, COLS), sign)
    scales = np.full((ROWS, COLS // 32), f32_to_bf16(np.array([scale], np.float32))[0], np.uint16)
    if kind == "int4":
        data = rows16.pack_int4(np.where(signs > 0, 15, 0).astype(np.uint8), scales)
    elif kind == "q8":
        data = rows16.pack_q8((127 * signs).astype(np.int8), scales)
    else:
        data = rows16.pack_bf16(f32_to_bf16((signs * np.float32(scale)).astype(np.float32)))
    return rows16.Matrix(kind, ROWS, COLS, data)


def compare(w, x, int8, tolerance=1e-5, floor=1e-44):
    """linear equals the reference on inputs x f32[T, COLS], to a share of the largest result or to `floor`."""
    a, b = (kernels.make_activation(len(x), COLS, int8) for _ in range(2))
    a.x[:], b.x[:] = x, x
    kernels.quantize(a)
    reference.quantize(b)
    if int8:
        assert np.array_equal(a.q, b.q)
        assert np.array_equal(a.s.view(np.uint32), b.s.view(np.uint32))
    ours, truth = np.zeros((len(x), ROWS), np.float32), np.zeros((len(x), ROWS), np.float32)
    kernels.linear((w,), a, (ours,))
    with np.errstate(all="ignore"):
        reference.linear((w,), b, (truth,))
    assert np.array_equal(np.isnan(ours), np.isnan(truth))
    finite = np.isfinite(truth)
    assert np.array_equal(ours[~finite], truth[~finite], equal_nan=True)
    worst = np.abs(ours[finite] - truth[finite]).max(initial=0)
    assert worst <= tolerance * np.abs(truth[finite]).max(initial=0) + floor


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("sign", [-1, 1, 0])
@pytest.mark.parametrize("kind", ["int4", "q8", "bf16"])
def test_saturating_integers_do_not_overflow(kind, sign, int8, tier):  # noqa: F811
    w = matrix(kind, 1.0, sign)
    x = np.concatenate([np.full((1, COLS), 5), np.full((1, COLS), -5), np.resize([5, -5], (3, COLS))])
    compare(w, x.astype(np.float32), int8)


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("scale", [1e-40, 1.2e-38, 1e30])
@pytest.mark.parametrize("kind", ["int4", "q8", "bf16"])
def test_extreme_weight_scales(kind, scale, int8, tier):  # noqa: F811
    x = np.random.default_rng(1).standard_normal((3, COLS)).astype(np.float32)
    compare(matrix(kind, scale, 0), x, int8, tolerance=1e-4 if scale > 1e-39 else 1e-2)


@pytest.mark.parametrize("kind", ["int4", "q8", "bf16"])
def test_extreme_activations(kind, tier):  # noqa: F811
    rng = np.random.default_rng(2)
    for size in (0.0, 1e-45, 1e-44, 3e-43, 1e-38, 1e30):
        x = (rng.standard_normal((3, COLS)) * size).astype(np.float32)
        # A product of two scales is rounded to the denormals' grid, 1.4e-45, and multiplied by 127 * 127 * 96 at most.
        compare(matrix(kind, 1e-3, 0), x, True, tolerance=1e-5, floor=2e-39)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["int4", "q8", "bf16"])
def test_bad_number_reaches_its_own_row_only(kind, bad, tier):  # noqa: F811
    x = np.random.default_rng(3).standard_normal((5, COLS)).astype(np.float32)
    x[2, 40] = bad
    w = matrix(kind, 1.0, 0)
    a, b = (kernels.make_activation(5, COLS, True) for _ in range(2))
    a.x[:], b.x[:] = x, x
    kernels.quantize(a)
    reference.quantize(b)
    assert np.array_equal(a.q, b.q)
    assert np.array_equal(np.isfinite(a.s[..., 0]), np.isfinite(b.s[..., 0]))
    out = np.zeros((5, ROWS), np.float32)
    kernels.linear((w,), a, (out,))
    assert not np.isfinite(out[2]).any()
    assert np.isfinite(np.delete(out, 2, axis=0)).all()


def test_silu_and_sigmoid_at_the_edges(tier):  # noqa: F811
    x = np.array([-1e38, -200, -90, -88, -1e-30, 0, 1e-30, 88, 90, 200, 1e38, np.inf, -np.inf, np.nan], np.float32)
    identity = rows16.Matrix("bf16", 32, 32, rows16.pack("bf16", np.eye(32, dtype=np.float32)))
    ones = np.zeros((32, 32), np.float32)
    ones[:, -1] = 1
    up = rows16.Matrix("bf16", 32, 32, rows16.pack("bf16", ones))
    for value in x:
        a, out = kernels.make_activation(1, 32, False), kernels.make_activation(1, 32, False)
        a.x[0, 0], a.x[0, -1] = value, 1
        kernels.gate_up(identity, up, a, out)
        with np.errstate(all="ignore"):
            truth = np.float64(value) / (1 + np.exp(-np.float64(value)))
        if np.isfinite(value):
            assert np.isclose(out.x[0, 0], truth, rtol=1e-5, atol=1e-36)
        else:
            assert np.isnan(out.x[0, 0])  # 0 * infinity, in the matmul already


def test_infinite_and_missing_scores_in_the_router(tier):  # noqa: F811
    w = np.eye(8, dtype=np.float32)
    dispatch = kernels.make_dispatch(2, 8, 3)
    x = np.zeros((2, 8), np.float32)
    x[0, 5], x[1] = 100, np.nan
    kernels.route(x, w, np.zeros(8, np.float32), kernels.Routing(3, 1, 1, True, 1.0), dispatch)
    assert dispatch.ids.tolist() == [[0, 1, 5], [0, 1, 2]]
    assert np.isnan(dispatch.weights[1]).all()
    assert np.isclose(dispatch.weights[0].sum(), 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["w", "bias"])
@pytest.mark.parametrize("tokens", [1, 5])
def test_expert_whose_score_is_no_number_spoils_the_weights_though_it_is_not_chosen(tier, tokens, where, bad):  # noqa: F811
    for module in (kernels, reference):
        x, w, bias, routing, dispatch = cases.route(tokens, 8, 96, 2).build(np.random.default_rng(0)).arguments
        w, bias = w.copy(), bias.copy()
        if where == "w":
            w[3, 7] = bad
        else:
            bias[3] = bad
        module.route(x, w, bias, routing, dispatch)
        ids = dispatch.ids
        assert np.isnan(dispatch.weights).all() and (ids >= 0).all() and (ids < 8).all()
