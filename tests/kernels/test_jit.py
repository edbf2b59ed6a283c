"""Entries get the arguments that they are called with, run on all threads, and are kept with names that Numba has."""

import re
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import from_dtype, prange, types
from numba.core import ccallback, compiler, compiler_lock, serialize

from kimi_cpu.kernels import Recorder, StepArg, entries, runtime
from kimi_cpu.kernels.codegen.jit import KERNELS, Call, kernel, peek, take
from kimi_cpu.kernels.codegen.jit import address as address_of

OURS = [entry for entry in KERNELS if entry.entry.path]  # of the package
RECORD = np.dtype([("first", "i8"), ("second", "f4")])


@kernel(
    types.void(
        types.int64,
        types.float32,
        types.boolean,
        types.Array(types.uint8, 1, "C", readonly=True),
        types.Array(types.float32, 3, "C"),
        types.Array(from_dtype(RECORD), 1, "C"),
        types.Array(types.int32, 2, "C"),
        types.int64,
    ),
    parallel=False,
)
def _echo(number, real, flag, bytes_, cube, records, shapes, rows):
    cube[1, 2, 3] = real
    cube[0, 0, 0] = bytes_[len(bytes_) - 1]
    records[1].first, records[1].second = number, records[0].second
    shapes[0, 0], shapes[0, 1], shapes[0, 2], shapes[1, 0] = cube.shape[0], cube.shape[1], cube.shape[2], len(bytes_)
    shapes[1, 1], shapes[1, 2] = flag, rows


class Echo:
    """Arguments of every kind, and what must be in them after a call."""

    def __init__(self):
        self.bytes = np.arange(200, 207, dtype=np.uint8)
        self.bytes.flags.writeable = False
        self.cube = np.zeros((2, 3, 4), np.float32)
        self.records = np.array([(1, 0.5), (2, 0.25)], RECORD)
        self.shapes = np.zeros((2, 3), np.int32)

    def arguments(self, number, real, flag):
        return number, real, flag, self.bytes, self.cube, self.records, self.shapes

    def check(self, number, real, flag, rows):
        assert self.cube[1, 2, 3] == np.float32(real) and self.cube[0, 0, 0] == 206
        assert self.cube.sum() == np.float32(real) + 206
        assert self.records[1].tolist() == (number, 0.5)
        assert self.shapes.tolist() == [[2, 3, 4], [7, flag, rows]]


VALUES = [(-(2**40), 0.1, True), (2**62 + 1, -3.5, False)]


@pytest.mark.parametrize("values", VALUES)
def test_an_entry_gets_numbers_and_arrays_as_they_are(values):
    echo = Echo()
    _echo(*echo.arguments(*values), 5)
    echo.check(*values, 5)


def test_a_program_gives_its_entries_numbers_and_arrays_as_they_are():
    echo, step, rows, k = Echo(), [StepArg(value) for value in VALUES[0]], StepArg(3), Recorder()
    k._calls.append(Call(_echo, echo.arguments(*step), rows, 9))
    program = k.compile()
    for values in VALUES:
        for argument, value in zip(step, values, strict=True):
            argument.set(value)
        program.run()
        echo.check(*values, 3)


@kernel(types.int64(types.Array(types.uint8, 1, "C")), parallel=False)
def _length(x):
    return len(x)


def test_an_entry_may_return_a_number():
    assert _length(np.zeros(2**20, np.uint8)) == 2**20


@pytest.mark.parametrize("wrong", [np.zeros(3, np.int8), np.zeros((1, 3), np.uint8), np.zeros(6, np.uint8)[::2]])
def test_an_entry_refuses_arrays_of_another_type(wrong):
    with pytest.raises(AssertionError, match="expected, not"):
        _length(wrong)


@kernel(types.void(types.Array(types.int64, 1, "C"), types.Array(types.int64, 1, "C")))
def _meet(arrived, seen):
    """Each of two iterations waits for the other one, but not for ever."""
    for _ in prange(2):
        number = take(arrived)
        turns = 0
        while peek(address_of(arrived)) != 2 and turns < 2_000_000_000:
            turns += 1
        seen[number] = peek(address_of(arrived))


def test_the_iterations_of_a_region_run_at_the_same_time():
    before, seen = runtime.workers(), np.zeros(2, np.int64)
    runtime.configure(2)
    try:
        _meet(np.zeros(1, np.int64), seen)
    finally:
        runtime.configure(before)
    assert seen.tolist() == [2, 2], "one thread runs all iterations: the region is not parallel"


def _code(entry):
    entry.compile()
    return entry.entry.read()


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: entry.name)
def test_an_entry_writes_no_messages(entry):
    assert b"unicode" not in _code(entry), "strings of Python take seconds to compile"


@pytest.mark.parametrize("source", sorted(Path(entries.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_a_region_is_a_prange_and_nothing_else(source):
    code = [_code(entry) for entry in OURS if entry.entry.path.name.startswith(f"entries.{source.stem}.")]
    regions = sum(len(set(re.findall(rb"numba_parfor_gufunc_0x[0-9a-f]+", c))) for c in code)
    assert regions == source.read_text().count("prange(")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (ccallback, "CFunc"),
        (ccallback.CFunc, "compile"),
        (ccallback.CFunc(lambda: None, ((), types.void), {}, {}), "_cache"),
        (compiler.CompileResult, "_reduce"),
        (compiler.CompileResult, "_rebuild"),
        (compiler_lock, "global_compiler_lock"),
        (serialize, "dumps"),
    ],
    ids=lambda x: x if isinstance(x, str) else getattr(x, "__name__", type(x).__name__),
)
def test_numba_has_the_private_names_that_compiled_code_is_kept_with(owner, name):
    assert hasattr(owner, name), f"Numba {numba.__version__} has no {name}; kernels/codegen/jit.py needs another way"
