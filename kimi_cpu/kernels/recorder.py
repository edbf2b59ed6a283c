"""Recorder and Program: operations that run one after the other from compiled code, without Python between them.

A decode step reads more weights than the caches hold, so that Python's code and objects come from memory again at every
call. A program has all that its calls need in 64-bit words, side by side.
"""

from collections.abc import Callable
from functools import partial, wraps
from itertools import groupby
from typing import Concatenate, ParamSpec

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.extending import intrinsic

from .codegen.calls import Call, StepArg, num_words, words
from .codegen.jit import kernel, peek
from .entries import attention, attention_expanded, attention_int8, heads, matmul, moe, pointwise

ENTRIES = (
    pointwise._embed,
    pointwise._rms_norm,
    pointwise._write_latents,
    matmul._linear,
    matmul._gate_up,
    heads._absorb,
    heads._project,
    attention._absorbed,
    attention_int8._absorbed_int8,
    attention_expanded._expanded,
    moe._route,
    moe._experts_gate_up,
    moe._experts_down,
)
CALL = np.dtype(
    [
        ("entry", "i8"),  # its place in ENTRIES
        ("function", "i8"),  # address
        ("arguments", "i8"),  # address of their addresses
        ("rows", "i8"),  # address of the last of them
    ]
)
WORD = 8
P = ParamSpec("P")


class Program:
    """Calls in their order. Those without a function of Python between them run as one from compiled code.

    It runs with the kernels' context of the thread that made it.
    """

    def __init__(self, calls: list[Call | Callable[[], None]]):
        self.calls = tuple(calls)
        self._memory: list[np.ndarray] = []  # of the arguments
        self._parts: list[Callable[[], None]] = []
        for together, part in groupby(calls, key=lambda call: isinstance(call, Call)):
            if together:
                table, memory = _compiled([*part])
                self._parts.append(partial(_run, table))
                self._memory.append(memory)
            else:
                self._parts += part

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
    """Notes operations down, in the order in which a program shall run them.

    They are those of the catalogue. Arrays are bound once, with room for as many rows as a step may have; `rows` says
    how many of them count in a step, and an operation of no rows is left out.
    """

    def __init__(self):
        self._calls: list[Call | Callable[[], None]] = []

    embed = _recorded(pointwise.embed)
    rms_norm = _recorded(pointwise.rms_norm)
    linear = _recorded(matmul.linear)
    gate_up = _recorded(matmul.gate_up)
    write_latents = _recorded(pointwise.write_latents)
    absorb_queries = _recorded(heads.absorb_queries)
    attend_absorbed = _recorded(attention_int8.attend_absorbed)
    project_values = _recorded(heads.project_values)
    attend_expanded = _recorded(attention_expanded.attend_expanded)
    route = _recorded(moe.route)
    experts_gate_up = _recorded(moe.experts_gate_up)
    experts_down = _recorded(moe.experts_down)

    def cut(self, act: Callable[[], None]) -> None:
        """A place at which Python acts."""
        self._calls.append(act)

    def compile(self) -> Program:
        """What was noted down."""
        return Program(self._calls)


def _compiled(calls: list[Call]) -> tuple[np.ndarray, np.ndarray]:
    """Calls that run as one: a table of CALL, and the memory that it points into.

    There lie, call by call, the addresses of its arguments, and then those of them that never change.
    """
    table = np.zeros(len(calls), CALL)
    signatures = [call.kernel.signature.args for call in calls]
    memory = np.zeros(sum(1 + num_words(type_) for signature in signatures for type_ in signature), np.int64)
    base, end = memory.ctypes.data, 0
    for row, call, signature in zip(table, calls, signatures, strict=True):
        begin = end
        end += len(signature)
        for place, argument, type_ in zip(range(begin, end), call.arguments, signature, strict=True):
            if isinstance(argument, StepArg):
                memory[place] = argument.address(type_)
            else:
                memory[place] = base + end * WORD
                memory[end : end + num_words(type_)] = words(type_, argument)
                end += num_words(type_)
        row["entry"], row["function"] = ENTRIES.index(call.kernel), call.kernel.address()
        row["arguments"], row["rows"] = base + begin * WORD, memory[place]
    return table, memory


@intrinsic
def _enter(typingctx, entry, function, arguments):
    """Calls the function of an entry of ENTRIES with the arguments whose addresses are at an address."""

    def generate(context, builder, signature, values):
        end = builder.append_basic_block("end")
        switch = builder.switch(values[0], end)
        word = ir.IntType(64)
        for number, an_entry in enumerate(ENTRIES):
            block = builder.append_basic_block(an_entry.name)
            switch.add_case(ir.Constant(word, number), block)
            builder.position_at_end(block)
            places, arguments = builder.inttoptr(values[2], word.as_pointer()), []
            for i, type_ in enumerate(an_entry.signature.args):
                value_type = context.get_value_type(type_)
                stored = word if isinstance(value_type, ir.IntType) else value_type
                place = builder.load(builder.gep(places, [ir.Constant(word, i)]))
                value = builder.load(builder.inttoptr(place, stored.as_pointer()))
                arguments.append(value if stored == value_type else builder.trunc(value, value_type))
            function_type = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
            builder.call(builder.inttoptr(values[1], function_type.as_pointer()), arguments)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(entry, function, arguments), generate


@kernel(types.void(types.Array(from_dtype(CALL), 1, "C")), parallel=False)
def _run(calls):
    for i in range(len(calls)):
        call = calls[i]
        if peek(call.rows) != 0:
            _enter(call.entry, call.function, call.arguments)
