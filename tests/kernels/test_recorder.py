"""Programs: recorded operations give from compiled code what they give one by one, and take what a step changes."""

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import Recorder, StepArg, cases

from .test_cases import tier  # noqa: F401, the fixture

TOKENS, INNER, COLS = 3, 64, 96


class Mlp:
    """A norm, gate and up, and down, on arrays of its own, all from the same numbers."""

    def __init__(self, act=None):
        """act: what Python does after the norm."""
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((TOKENS, COLS), np.float32)
        self.normed = kernels.make_activation(TOKENS, COLS, True)
        inner = kernels.make_activation(TOKENS, INNER, True)
        gate, up, down = (cases.matrix(rng, "int4", *shape) for shape in ((INNER, COLS), (INNER, COLS), (COLS, INNER)))
        self.kept = inner, gate, up, down  # a call has their addresses
        self.rows, k = StepArg(), Recorder()
        k.rms_norm(self.x, rng.random(COLS, np.float32), 1e-6, self.normed, rows=self.rows)
        if act:
            k.cut(act)
        k.gate_up(gate, up, self.normed, inner, rows=self.rows)
        k.linear((down,), inner, (self.x,), add=True, rows=self.rows)
        self.program = k.compile()


def test_a_program_gives_the_bits_of_its_calls(tier):  # noqa: F811
    alone, together = Mlp(), Mlp()
    for count in (TOKENS, 1, 2):
        alone.rows.set(count)
        together.rows.set(count)
        together.program.run()
        for call in alone.program.calls:
            call()
        np.testing.assert_array_equal(together.x, alone.x)


def test_python_acts_at_a_cut_with_what_is_before_it_done_and_nothing_after_it():
    whole, seen = Mlp(), []
    before = whole.x.copy()
    cut = Mlp(lambda: seen.append((cut.normed.x.copy(), cut.x.copy())))
    for mlp in (whole, cut):
        mlp.rows.set(TOKENS)
        mlp.program.run()
    ((normed, x),) = seen
    assert normed.any() and np.array_equal(normed, whole.normed.x)
    assert np.array_equal(x, before) and not np.array_equal(whole.x, before)
    np.testing.assert_array_equal(whole.x, cut.x)


def test_a_call_of_no_rows_is_left_out(tier):  # noqa: F811
    mlp = Mlp()
    before = mlp.x.copy()
    mlp.rows.set(0)
    mlp.program.run()
    for call in mlp.program.calls:
        call()
    assert np.array_equal(mlp.x, before) and not mlp.normed.x.any()


@pytest.mark.parametrize("kind", ["f16", "int8"])
def test_arrays_change_from_step_to_step(kind):
    """The arguments of attention that are arrays, numbers, and room that grows."""
    rng = np.random.default_rng(1)
    case = cases.attend_absorbed(kind, [1, 64, 1100, 131], 5, 70, 8)
    q, cache, layer, tables, lens, scale, wanted = case.build(rng).arguments
    out, rows, some_tables, some_lens = np.zeros_like(wanted), StepArg(), StepArg(tables), StepArg(lens)
    plan = tuple(map(StepArg, kernels.plan_absorbed(cache, q.shape[1], 1, 1)))
    k = Recorder()
    k.attend_absorbed(q, cache, layer, some_tables, some_lens, scale, out, plan, rows)
    program = k.compile()
    for count in (1, 4, 2):
        rows.set(count)
        some_tables.set(tables[:count])
        some_lens.set(lens[:count])
        values = kernels.plan_absorbed(cache, q.shape[1], count, kernels.num_splits(lens[:count]))
        for argument, value in zip(plan, values, strict=True):
            argument.set(value)
        out[:] = 0
        program.run()
        kernels.attend_absorbed(q[:count], cache, layer, tables[:count], lens[:count], scale, wanted[:count])
        np.testing.assert_array_equal(out[:count], wanted[:count])


def test_step_argument_of_two_types_is_refused():
    mlp, k = Mlp(), Recorder()
    k.rms_norm(mlp.x, np.ones(COLS, np.float32), mlp.rows, mlp.normed)
    with pytest.raises(AssertionError, match="int64 for one call, float32 for another"):
        k.compile()


def test_an_array_of_another_type_is_refused():
    case = cases.attend_absorbed("f16", [1, 64], 5, 70, 8)
    q, cache, layer, tables, lens, scale, out = case.build(np.random.default_rng(1)).arguments
    some_lens, k = StepArg(lens), Recorder()
    plan = kernels.plan_absorbed(cache, q.shape[1], 2, 1)
    k.attend_absorbed(q, cache, layer, tables, some_lens, scale, out, plan)
    k.compile()
    for wrong in (lens.astype(np.int64), lens[None], np.zeros(4, np.int32)[::2]):
        with pytest.raises(AssertionError, match="expected, not"):
            some_lens.set(wrong)
