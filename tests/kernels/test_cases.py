"""Every kernel against its numpy reference, on odd shapes, in this process's tier."""

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import cases, reference, runtime

SMALL = cases.small()


def run(case, module=kernels, seed=1):
    """Outputs of one call."""
    problem = case.build(np.random.default_rng(seed))
    getattr(module, case.kernel)(*problem.arguments)
    return problem.outputs


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_kernel_equals_reference(case):
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
