"""How a region's tasks are shared out."""

import numba
import numpy as np
import pytest
from numba import prange, types

from kimi_cpu.kernels.codegen.jit import kernel
from kimi_cpu.kernels.entries import next_task, shares
from kimi_cpu.kernels.micro import STOP

FLAG = np.zeros(1, np.int64)
MICRO = np.full(STOP + 1, FLAG.ctypes.data)


@kernel(types.void(types.int64[::1], types.int64[::1], types.int64[::1]))
def _count(micro, workers_of, times):
    """times[task] += 1 by all threads."""
    taken = shares(len(workers_of))
    for worker in prange(len(workers_of)):
        while True:
            task = next_task(micro, taken, worker, len(times))
            if task == len(times):
                break
            times[task] += 1
            workers_of[worker] += 1


@pytest.mark.parametrize("tasks", [0, 1, 2, 3, 64, 1001])
def test_a_worker_takes_its_share_and_then_what_others_left(tasks):
    taken = shares(3)
    mine = [next_task(MICRO, taken, 1, tasks) for _ in range(tasks // 3)]
    assert mine == [*range(tasks // 3, 2 * (tasks // 3))], "the middle third, in order"
    rest = []
    while (task := next_task(MICRO, taken, 1, tasks)) != tasks:
        rest.append(task)
    assert sorted([*mine, *rest]) == [*range(tasks)], "and every task once"
    assert next_task(MICRO, taken, 0, tasks) == tasks, "its own share was taken by another"


def test_nobody_takes_a_task_that_is_not_wanted_any_more():
    taken = shares(2)
    assert next_task(MICRO, taken, 0, 10) == 0
    FLAG[0] = 1
    try:
        assert [next_task(MICRO, taken, worker, 10) for worker in (0, 1)] == [10, 10]
    finally:
        FLAG[0] = 0
    assert next_task(MICRO, taken, 0, 10) == 1


def test_threads_together_do_every_task_once():
    threads = min(4, numba.config.NUMBA_NUM_THREADS)
    for tasks in (1, 7, 5000):
        times, done = np.zeros(tasks, np.int64), np.zeros(threads, np.int64)
        _count(MICRO, done, times)
        assert (times == 1).all() and done.sum() == tasks
