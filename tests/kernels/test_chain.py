"""Chains: bound calls run from compiled code give what they give one by one, and take what a step changes."""

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import Chain, LastArguments, cases

from .test_cases import tier  # noqa: F401, the fixture

TOKENS, INNER, COLS = 3, 64, 96


class Mlp:
    """A norm, gate and up, and down, on arrays of its own, all from the same numbers."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((TOKENS, COLS), np.float32)
        self.normed = kernels.make_activation(TOKENS, COLS, True)
        inner = kernels.make_activation(TOKENS, INNER, True)
        gate, up, down = (cases.matrix(rng, "int4", *shape) for shape in ((INNER, COLS), (INNER, COLS), (COLS, INNER)))
        self.kept = inner, gate, up, down  # a bound call has their addresses
        self.calls = [
            kernels.bind_rms_norm(self.x, rng.random(COLS, np.float32), 1e-6, self.normed),
            kernels.bind_gate_up(gate, up, self.normed, inner),
            kernels.bind_linear((down,), inner, (self.x,), add=True),
        ]


def test_a_chain_gives_the_bits_of_its_calls(tier):  # noqa: F811
    alone, chained, rows = Mlp(), Mlp(), LastArguments()
    run = Chain([(call, rows) for call in chained.calls])
    for count in (TOKENS, 1, 2):
        rows.set(count)
        run()
        for call in alone.calls:
            call(count)
        np.testing.assert_array_equal(chained.x, alone.x)


def test_a_part_of_a_chain_runs_alone():
    whole, rows = Mlp(), LastArguments()
    before = whole.x.copy()
    run = Chain([(call, rows) for call in whole.calls])
    rows.set(TOKENS)
    run(0, 1)
    assert whole.normed.x.any() and np.array_equal(whole.x, before)
    run(1)
    other = Mlp()
    for call in other.calls:
        call(TOKENS)
    np.testing.assert_array_equal(whole.x, other.x)


@pytest.mark.parametrize("kind", ["f16", "int8"])
def test_arrays_change_from_step_to_step(kind):
    """The calls of attention, whose last arguments are arrays, numbers, and room that grows."""
    rng = np.random.default_rng(1)
    case = cases.attend_absorbed(kind, [1, 64, 1100, 131], 5, 70, 8)
    q, cache, layer, tables, lens, scale, wanted = case.build(rng).arguments
    out, pages = np.zeros_like(wanted), LastArguments()
    run = Chain([(kernels.bind_attend_absorbed(q, cache, layer, scale, out), pages)])
    for count in (1, 4, 2):
        plan = kernels.plan_absorbed(cache, q.shape[1], count, kernels.num_splits(lens[:count]))
        pages.set(tables[:count], lens[:count], *plan)
        out[:] = 0
        run()
        kernels.attend_absorbed(q[:count], cache, layer, tables[:count], lens[:count], scale, wanted[:count])
        np.testing.assert_array_equal(out[:count], wanted[:count])


def test_last_arguments_of_another_type_are_refused():
    whole, rows = Mlp(), LastArguments()
    Chain([(whole.calls[0], rows)])
    table = cases.matrix(np.random.default_rng(0), "q8", 50, COLS)
    with pytest.raises(AssertionError, match="other last arguments"):
        Chain([(kernels.bind_embed(table, whole.x), rows)])


def test_an_array_of_another_type_is_refused():
    ids, table = LastArguments(), cases.matrix(np.random.default_rng(0), "q8", 50, COLS)
    Chain([(kernels.bind_embed(table, np.zeros((2, COLS), np.float32)), ids)])
    for wrong in (np.zeros(2, np.int64), np.zeros((1, 2), np.int32), np.zeros(4, np.int32)[::2]):
        with pytest.raises(AssertionError, match="expected, not"):
            ids.set(wrong)
