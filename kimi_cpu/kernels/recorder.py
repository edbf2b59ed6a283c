"""Recorder and Program: operations that run one after the other from compiled code, without Python between them.

A decode step reads more weights than the caches hold, so that Python's code and objects come from memory again at every
call. A program has all that its calls need in a table of addresses (codegen/jit.py).
"""

from collections.abc import Callable
from functools import wraps
from itertools import groupby
from typing import Concatenate, ParamSpec

import numpy as np
from numba import from_dtype, types

from .codegen.jit import Call, call, kernel, peek
from .entries import attention, attention_expanded, matmul, moe, pointwise

CALL = np.dtype(  # all addresses
    [
        ("function", "i8"),
        ("arguments", "i8"),  # of their addresses
        ("rows", "i8"),  # of the last of them
    ]
)
P = ParamSpec("P")


class Program:
    """Calls in their order. Those without a function of Python between them run as one from compiled code.

    It runs with the kernels' context of the thread that made it.
    """

    def __init__(self, calls: list[Call | Callable[[], None]]):
        self.calls = tuple(calls)
        self._tables: list[np.ndarray] = []  # of CALL, which the parts have the addresses of
        self._parts: list[Callable[[], object]] = []
        for together, part in groupby(calls, key=lambda call: isinstance(call, Call)):
            if not together:
                self._parts += part
                continue
            bound = [call.bind() for call in part if isinstance(call, Call)]
            table = np.array([(b.kernel.address, b.address, b.places[-1]) for b in bound], CALL)
            self._tables.append(table)
            self._parts.append(_run.bind(table))

    def run(self) -> None:
        """All of it."""
        for part in self._parts:
            part()


def _recorded(operation: Callable[P, Call]) -> Callable[Concatenate["Recorder", P], None]:
    """The operation as a method of Recorder."""

    @wraps(operation)
    def method(self: "Recorder", *args: P.args, **kwargs: P.kwargs) -> None:
        self._calls.append(operation(*args, **kwargs))

    return method


class Recorder:
    """Records the operations of the catalogue, in the order in which a program runs them.

    Arrays are bound once, with room for as many rows as a step may have; `rows` says
    how many of them count in a step, and an operation of no rows is left out.
    """

    def __init__(self):
        self._calls: list[Call | Callable[[], None]] = []

    embed = _recorded(pointwise.embed)
    rms_norm = _recorded(pointwise.rms_norm)
    linear = _recorded(matmul.linear)
    gate_up = _recorded(matmul.gate_up)
    write_latents = _recorded(pointwise.write_latents)
    absorb_queries = _recorded(matmul.absorb_queries)
    attend_absorbed = _recorded(attention.attend_absorbed)
    project_values = _recorded(matmul.project_values)
    attend_expanded = _recorded(attention_expanded.attend_expanded)
    route = _recorded(moe.route)
    experts_gate_up = _recorded(moe.experts_gate_up)
    experts_down = _recorded(moe.experts_down)

    def cut(self, act: Callable[[], None]) -> None:
        """A place at which Python acts."""
        self._calls.append(act)

    def compile(self) -> Program:
        """The program of all that was recorded."""
        return Program(self._calls)


@kernel(types.void(types.Array(from_dtype(CALL), 1, "C")), parallel=False)
def _run(calls):
    """Calls the functions, one after the other, that have any rows."""
    for i in range(len(calls)):
        if peek(calls[i].rows) != 0:
            call(calls[i].function, (calls[i].arguments,))
