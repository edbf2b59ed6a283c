"""Work that is not wanted any more is left out, from another thread too, and what comes after is as ever."""

import threading

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import cases, runtime

from .test_cases import run

STOPPABLE = [  # every kind of task
    cases.linear("q8", True, 23, 90, 96),
    cases.linear("int4", True, 1, 90, 96, add=True),
    cases.gate_up("q8", True, 23, 64, 96),
    cases.gate_up("int4", False, 1, 64, 96),
    cases.experts_gate_up("int4", True, 23, 5, 2, 64, 96, shared=("q8", 41)),
    cases.experts_gate_up("int4", True, 1, 5, 2, 64, 96),
    cases.experts_down("int4", True, 23, 5, 2, 64, 96, shared=("q8", 41)),
    cases.experts_down("int4", True, 1, 5, 2, 64, 96),
    cases.attend_absorbed("f16", [1, 64, 1100, 131], 5, 70, 8),
    cases.attend_absorbed("int8", [1, 64, 1100, 131], 5, 70, 8),
    cases.attend_expanded("f16", "q8", True, [150], [150], 3, (20, 8, 18, 70)),
]


@pytest.mark.parametrize("case", STOPPABLE, ids=lambda c: c.name)
def test_stopped_kernel_begins_nothing_and_the_next_call_is_whole(case):
    before = case.build(np.random.default_rng(1)).outputs[0].copy()
    flag = np.ones(1, np.int64)
    with runtime.stoppable(flag):
        left = run(case)[0]
    assert np.array_equal(left, before, equal_nan=True) or not np.isfinite(left).all()  # 0 / 0 of what was not summed
    whole = run(case)
    flag[0] = 0
    with runtime.stoppable(flag):
        again = run(case)
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
    assert not np.array_equal(whole[0], before)


def test_stopped_routing_still_names_experts_that_there_are():
    problem = cases.route(23, 8, 96, 2).build(np.random.default_rng(1))
    with runtime.stoppable(np.ones(1, np.int64)):
        kernels.route(*problem.arguments)
    ids, _, order, active, first, num_active, _ = problem.outputs
    assert np.array_equal(active[: num_active[0]], np.unique(ids))
    assert np.array_equal(np.sort(order), np.arange(ids.size)) and first[num_active[0]] == ids.size
    assert (ids >= 0).all() and (ids < 8).all() and (np.diff(ids, axis=1) > 0).all()


def test_another_thread_stops_a_region_between_two_of_its_tasks():
    problem = cases.experts_gate_up("int4", True, 256, 24, 8, 512, 1024).build(np.random.default_rng(1))
    values = problem.outputs[0]

    def stop_when_begun(flag):
        while np.isnan(values[:, 0]).all():
            pass
        flag[0] = 1

    for _ in range(100):  # the other thread may come too late
        values[:], flag = np.nan, np.zeros(1, np.int64)
        thread = threading.Thread(target=stop_when_begun, args=(flag,))
        thread.start()
        with runtime.stoppable(flag):
            kernels.experts_gate_up(*problem.arguments)
        thread.join()
        written = np.isfinite(values)
        if written.any() and not written.all():
            return
    pytest.fail("every region was computed to its end")
