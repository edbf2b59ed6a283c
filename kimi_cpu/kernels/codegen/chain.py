"""Bound calls that run one after the other from compiled code, without Python between them.

A decode step reads more weights than the caches hold, so that Python's code and objects come from memory again at every
call. A chain has all that its calls need in records of 64-bit words, side by side. An argument is there as Numba passes
it: a number in one word, an array as the struct of Numba's ArrayModel.
"""

import struct
from itertools import accumulate

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

from ..entries.attention import _absorbed
from ..entries.attention_int8 import _absorbed_int8
from ..entries.heads import _absorb, _project
from ..entries.matmul import _gate_up, _linear
from ..entries.moe import _experts, _route
from ..entries.pointwise import _embed, _rms_norm, _write_latents
from .jit import Bound, kernel

ENTRIES = (
    _embed,
    _rms_norm,
    _linear,
    _gate_up,
    _write_latents,
    _absorb,
    _absorbed,
    _absorbed_int8,
    _project,
    _route,
    _experts,
)
CALL = np.dtype(  # of a chain: an entry and where its arguments are
    [
        ("entry", "i8"),  # its place in ENTRIES
        ("function", "i8"),
        ("words", "i8"),  # address of all arguments
        ("at", "i8"),  # address of the last of them, which `LastArguments` has: they are copied there
        ("last", "i8"),  # address
        ("last_bytes", "i8"),
    ]
)
WORD = 8


class LastArguments:
    """The last arguments of some calls, which change from step to step: the same values for all these calls."""

    def __init__(self):
        self.values: tuple = ()
        self._types: tuple | None = None
        self._words, self._places = np.zeros(0, np.int64), []

    def set(self, *values: object) -> None:
        """The values for the next step; arrays must be C-contiguous and are kept until the next `set`.

        What is the same object as in the last step costs nothing.
        """
        before, self.values = self.values or (None,) * len(values), values
        for (type_, place), old, new in zip(self._places, before, values, strict=True):
            if new is not old:
                self._words[place] = _pack(type_, new)

    def place(self, types_: tuple) -> tuple[int, int]:
        """(address, bytes) of the words that values of these types become; always the same."""
        if self._types is None:
            self._types = types_
            self._words, self._places = _layout(types_)
        assert self._types == types_, "calls with other last arguments"
        return self._words.ctypes.data, self._words.nbytes


class Chain:
    """Bound calls, each with the last arguments that it takes; runs with the kernels' context of its maker's thread."""

    def __init__(self, calls: list[tuple[Bound, LastArguments]]):
        self.calls = calls
        self._table = np.zeros(len(calls), CALL)
        self._words = []
        for i, (call, last) in enumerate(calls):
            types_, count = call.kernel.signature.args, len(call.first)
            words, places = _layout(types_)
            for value, (type_, place) in zip(call.first, places[:count], strict=True):
                words[place] = _pack(type_, value)
            begin = words.ctypes.data
            where = ENTRIES.index(call.kernel), call.kernel.address(), begin, begin + WORD * places[count][1].start
            self._table[i] = (*where, *last.place(types_[count:]))
            self._words.append(words)

    def __call__(self, begin: int = 0, end: int | None = None) -> None:
        """Runs calls begin..end-1, by default all."""
        _run(self._table[begin:end])


def _words(type_: types.Type) -> int:
    """Words of an argument."""
    return 5 + 2 * type_.ndim if isinstance(type_, types.Array) else 1


def _layout(types_: tuple) -> tuple[np.ndarray, list[tuple[types.Type, slice]]]:
    """(room for arguments of these types, which words of it are whose)."""
    ends = list(accumulate(map(_words, types_)))
    places = [(t, slice(end - _words(t), end)) for t, end in zip(types_, ends, strict=True)]
    return np.zeros(ends[-1], np.int64), places


def _pack(type_: types.Type, value: object) -> list[int]:
    """An argument as words."""
    if isinstance(type_, types.Array):
        same = value.dtype == as_dtype(type_.dtype) and value.ndim == type_.ndim
        assert same and value.flags.c_contiguous, f"{type_} expected, not {value.dtype}, {value.shape}"
        return [0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides]
    if type_ == types.float32:
        return [*struct.unpack("=i", struct.pack("=f", value))]
    return [int(value)]


@intrinsic
def _copy(typingctx, target, source, size):
    """Copies `size` bytes between addresses."""

    def generate(context, builder, signature, values):
        byte = ir.IntType(8).as_pointer()
        target, source = (builder.inttoptr(value, byte) for value in values[:2])
        cgutils.raw_memcpy(builder, target, source, values[2], 1)
        return context.get_dummy_value()

    return types.void(target, source, size), generate


@intrinsic
def _enter(typingctx, entry, function, words):
    """Calls the function of an entry of ENTRIES with arguments in words at an address."""

    def generate(context, builder, signature, values):
        end = builder.append_basic_block("end")
        switch = builder.switch(values[0], end)
        for number, an_entry in enumerate(ENTRIES):
            block = builder.append_basic_block(an_entry.name)
            switch.add_case(ir.Constant(ir.IntType(64), number), block)
            builder.position_at_end(block)
            at, arguments = 0, []
            for type_ in an_entry.signature.args:
                value_type = context.get_value_type(type_)
                stored = ir.IntType(64) if isinstance(value_type, ir.IntType) else value_type
                place = builder.add(values[2], ir.Constant(ir.IntType(64), at * WORD))
                value = builder.load(builder.inttoptr(place, stored.as_pointer()))
                arguments.append(value if stored == value_type else builder.trunc(value, value_type))
                at += _words(type_)
            function_type = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
            builder.call(builder.inttoptr(values[1], function_type.as_pointer()), arguments)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(entry, function, words), generate


@kernel(types.void(types.Array(from_dtype(CALL), 1, "C")), parallel=False)
def _run(calls):
    for i in range(len(calls)):
        call = calls[i]
        _copy(call.at, call.last, call.last_bytes)
        _enter(call.entry, call.function, call.words)
