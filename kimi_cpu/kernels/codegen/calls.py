"""Calls of entries: an entry and its arguments, of which some may change from step to step."""

import struct

import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype

from .jit import Kernel


class StepArg:
    """An argument that changes from step to step: every call that takes it gets the value that was set last."""

    def __init__(self, value: object = 0):
        self.value = value
        self._type: types.Type | None = None
        self._words = np.zeros(0, np.int64)

    def set(self, value: object) -> None:
        """The value for the next step. An array must be C-contiguous and is kept until the next `set`.

        The same object as in the last step costs nothing.
        """
        if value is not self.value:
            self.value = value
            if self._type is not None:
                self._words[:] = words(self._type, value)

    def address(self, type_: types.Type) -> int:
        """Of the words that a value of this type becomes; always the same."""
        if self._type is None:
            self._type, self._words = type_, np.array(words(type_, self.value), np.int64)
        assert self._type == type_, f"{self._type} for one call, {type_} for another"
        return self._words.ctypes.data


Rows = int | StepArg | None  # of a call; None: as many as there is room for


class Call:
    """An entry and its arguments, the number of rows last; runs when it is called, or as a part of a `Program`.

    A call of no rows is left out.
    """

    __slots__ = ("arguments", "kernel")

    def __init__(self, kernel: Kernel, arguments: tuple, rows: Rows, room: int):
        """rows: by default `room`, how many the arrays have room for."""
        self.kernel, self.arguments = kernel, (*arguments, room if rows is None else rows)

    def __call__(self) -> None:
        values = [a.value if isinstance(a, StepArg) else a for a in self.arguments]
        if values[-1]:
            self.kernel(*values)


def words(type_: types.Type, value: object) -> list[int]:
    """An argument as Numba passes it, in 64-bit words: a number in one, an array as the struct of its ArrayModel."""
    if isinstance(type_, types.Array):
        same = value.dtype == as_dtype(type_.dtype) and value.ndim == type_.ndim
        assert same and value.flags.c_contiguous, f"{type_} expected, not {value.dtype}, {value.shape}"
        return [0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides]
    if type_ == types.float32:
        return [*struct.unpack("=i", struct.pack("=f", value))]
    return [int(value)]


def num_words(type_: types.Type) -> int:
    """Words of an argument of a type."""
    return 5 + 2 * type_.ndim if isinstance(type_, types.Array) else 1
