"""A row's bits do not depend on its neighbours, on the batch or on the chunks that a prompt comes in."""

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import cases, reference
from kimi_cpu.kernels.entries import attention


def same(a, b):
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("kind", ["int4", "q8", "bf16"])
def test_matmul_row_is_the_same_alone(kind, int8):
    rng = np.random.default_rng(0)
    w, a = cases.matrix(rng, kind, 33, 96), cases.inputs(rng, 37, 96, int8)
    together = np.zeros((37, 33), np.float32)
    kernels.linear((w,), a, (together,))
    for t in range(37):
        alone = np.zeros((1, 33), np.float32)
        kernels.linear((w,), a.rows(t, t + 1), (alone,))
        assert same(alone[0], together[t])


@pytest.mark.parametrize("int8", [True, False])
def test_expert_sums_are_the_same_alone(int8):
    rng = np.random.default_rng(0)
    e, a, dispatch, hidden, _, shared = (
        cases.experts_gate_up("int4", int8, 23, 5, 2, 64, 96, shared=("q8", 41)).build(rng).arguments
    )
    before = rng.standard_normal((23, 96), np.float32)

    def sums(a, dispatch, out):
        kernels.experts_gate_up(e, a, dispatch, hidden, shared=shared)
        kernels.experts_down(e, hidden, dispatch, out, shared=shared)
        return out

    together = sums(a, dispatch, before.copy())
    for t in range(0, 23, 5):
        one = kernels.make_dispatch(1, 5, 2)
        one.ids[:], one.weights[:] = dispatch.ids[t], dispatch.weights[t]
        reference.sort(one)
        assert same(sums(a.rows(t, t + 1), one, before[t : t + 1].copy())[0], together[t])


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("tokens", [1, 23])
def test_experts_one_by_one_and_elsewhere_give_the_same_sums(int8, tokens):
    """Gate and up in any order, down in pieces, every expert at an address of its own each time."""
    rng = np.random.default_rng(0)
    e, a, dispatch, hidden, _, _ = cases.experts_gate_up("int4", int8, tokens, 5, 2, 64, 96).build(rng).arguments
    whole = rng.standard_normal((tokens, 96), np.float32)
    pieces = whole.copy()
    kernels.experts_gate_up(e, a, dispatch, hidden)
    kernels.experts_down(e, hidden, dispatch, whole)
    parts = kernels.make_activation(2 * tokens, 64, int8)
    num, elsewhere = int(dispatch.num_active[0]), np.zeros_like(e.data[0])
    for place in reversed(range(num)):
        e.address[:] = 0
        expert = dispatch.active[place]
        elsewhere[:], e.address[expert] = e.data[expert], elsewhere.ctypes.data
        kernels.experts_gate_up(e, a, dispatch, parts, np.array([place]))
    for place in range(num):
        e.address[:] = 0
        expert = dispatch.active[place]
        elsewhere[:], e.address[expert] = e.data[expert], elsewhere.ctypes.data
        kernels.experts_down(e, parts, dispatch, pieces, place, place + 1)
    assert same(parts.x, hidden.x)
    assert same(pieces, whole)


@pytest.mark.parametrize("at_once", [1, 3, 4])
@pytest.mark.parametrize("kind", ["f16", "int8", "f32"])
def test_decoded_sequence_is_the_same_alone(kind, at_once, monkeypatch):
    monkeypatch.setattr(attention, "_at_once", lambda sequences, _: min(sequences, at_once))
    case = cases.attend_absorbed(kind, [1, 64, 1100, 131], 5, 70, 8)
    q, cache, layer, tables, lens, scale, out = case.build(np.random.default_rng(0)).arguments
    kernels.attend_absorbed(q, cache, layer, tables, lens, scale, out)
    for s in range(4):
        alone = np.zeros_like(out[:1])
        one = slice(s, s + 1)
        kernels.attend_absorbed(q[one], cache, layer, tables[one], lens[one], scale, alone)
        assert same(alone[0], out[s])


def test_partial_results_stay_within_their_bytes():
    case = cases.attend_absorbed("int8", [64], 1, 512, 64)
    cache = case.build(np.random.default_rng(0)).arguments[1]
    sums, *_ = kernels.plan_absorbed(cache, 64, 64, 256)
    assert sums.nbytes <= attention.SUMS_BYTES or len(sums) == 1
    assert len(kernels.plan_absorbed(cache, 64, 64, 4)[0]) > 1


@pytest.mark.parametrize("kind", ["f16", "int8", "f32"])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_prompt_in_chunks_is_the_same_as_whole(kind, chunk):
    n, rng = 150, np.random.default_rng(0)
    case = cases.attend_expanded(kind, "q8", True, [n], [n], 3, (20, 8, 18, 70))
    k_b, v_b, q, cos, sin, starts, lens, cache, layer, tables, scale, out = case.build(rng).arguments
    kernels.attend_expanded(k_b, v_b, q, cos, sin, starts, lens, cache, layer, tables, scale, out)
    parts = kernels.make_activation(n, out.cols, True)
    for begin in range(0, n, chunk):
        end = min(begin + chunk, n)
        starts, lens = np.array([0, end - begin], np.int32), np.array([end], np.int32)
        rows, rotation = parts.rows(begin, end), (cos[begin:end], sin[begin:end])
        kernels.attend_expanded(k_b, v_b, q[begin:end], *rotation, starts, lens, cache, layer, tables, scale, rows)
    assert same(parts.x, out.x)
    assert np.array_equal(parts.q, out.q)


@pytest.mark.parametrize("int8", [True, False])
def test_projected_and_absorbed_rows_are_the_same_alone(int8):
    rng = np.random.default_rng(0)
    k_b, q, cos, sin, out = cases.absorb_queries("q8", 5, 3, 20, 8, 70).build(rng).arguments
    v_b, u, values = cases.project_values("q8", int8, 5, 3, 18, 70).build(rng).arguments
    kernels.absorb_queries(k_b, q, cos, sin, out)
    kernels.project_values(v_b, u, values)
    for t in range(5):
        one, alone = slice(t, t + 1), np.zeros_like(out[:1])
        kernels.absorb_queries(k_b, q[one], cos[one], sin[one], alone)
        assert same(alone[0], out[t])
        row = kernels.make_activation(1, values.cols, int8)
        kernels.project_values(v_b, u[one], row)
        assert same(row.x[0], values.x[t])


def test_router_chooses_the_same_alone():
    x, w, bias, routing, dispatch = cases.route(9, 13, 75, 3).build(np.random.default_rng(0)).arguments
    kernels.route(x, w, bias, routing, dispatch)
    for t in range(9):
        one = kernels.make_dispatch(1, 13, 3)
        kernels.route(x[t : t + 1], w, bias, routing, one)
        assert np.array_equal(one.ids[0], dispatch.ids[t])
        assert same(one.weights[0], dispatch.weights[t])


def test_norm_and_quantisation_are_the_same_alone():
    x, w, eps, out = cases.rms_norm(True, 9, 75).build(np.random.default_rng(0)).arguments
    kernels.rms_norm(x, w, eps, out)
    for t in range(9):
        row = kernels.make_activation(1, 75, True)
        kernels.rms_norm(x[t : t + 1], w, eps, row)
        assert same(row.x[0], out.x[t])
        assert np.array_equal(row.q[0], out.q[t])
    again = kernels.make_activation(9, 75, True)
    again.x[:] = out.x
    reference.quantize(again)
    assert np.array_equal(again.q, out.q)
    assert same(again.s, out.s)
