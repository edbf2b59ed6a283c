"""Every kernel on every tier of this machine, against its numpy reference."""

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import cases, reference, runtime
from kimi_cpu.kernels.codegen.native import host_tiers

SMALL = cases.small()


@pytest.fixture(params=[tier.name for tier in host_tiers()])
def tier(request):
    """Kernels of one tier, on two threads."""
    runtime.select(request.param)
    runtime.configure(2)
    yield request.param
    runtime.select()
    runtime.configure()


def run(case, module=kernels, seed=1):
    """Outputs of one call."""
    problem = case.build(np.random.default_rng(seed))
    getattr(module, case.kernel)(*problem.arguments)
    return problem.outputs


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_kernel_equals_reference(case, tier):
    for ours, truth in zip(run(case), run(case, reference), strict=True):
        error = np.abs(ours.astype(np.float64) - truth).max()
        assert error <= case.tolerance * np.abs(truth.astype(np.float64)).max()


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_number_of_threads_changes_no_bit(case):
    try:
        results = []
        for threads in (1, 2, 5):
            runtime.configure(threads)
            results.append([x.tobytes() for x in run(case)])
    finally:
        runtime.configure()
    assert results[0] == results[1] == results[2]
