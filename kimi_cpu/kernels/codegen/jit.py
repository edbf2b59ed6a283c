"""Entries: functions that Numba compiles to C functions, kept in the cache, and how their arguments reach them.

The only compile options of the package are here. Numba's own cache finds code by the file that a function came from,
and forgets other files, constants and flags; ours (code_cache.py) finds it by the content of all of them.
"""

import pickle
import struct
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import carray, types

# Names in numba.core, `CFunc._cache`, `CompileResult._reduce` and `_rebuild` are not public: compiled code is kept
# between processes through them. pyproject.toml allows the versions of Numba that were tested, and
# tests/kernels/test_jit.py says which of these names another version lacks.
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.core.typing import Signature
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

from .code_cache import CodeCache, Entry

# No fastmath: sums that may be reordered are written as registers in micro/, the others keep their order and bits.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "boundscheck": False}
NO_REGIONS = ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil")
SETTINGS = (  # of Numba, from NUMBA_… in the environment or from the host program, that change machine code
    "BOUNDSCHECK",
    "CPU_FEATURES",
    "CPU_NAME",
    "DEBUGINFO_DEFAULT",
    "DISABLE_INTEL_SVML",
    "ENABLE_AVX",
    "LOOP_VECTORIZE",
    "OPT",
    "SLP_VECTORIZE",
)


def _facts() -> str:
    """All that compiled code depends on beside the sources, as text: options, settings, versions, CPU."""
    cpu = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_process_triple()
    versions = sys.implementation.cache_tag, numba.__version__, llvmlite.__version__
    settings = [(name, str(getattr(numba.config, name, None))) for name in SETTINGS]
    return repr((sorted(OPTIONS.items()), settings, versions, cpu))


WORD = 8  # bytes
CACHE = CodeCache(_facts())
KERNELS: list["Kernel"] = []  # every entry, in the order of definition, for warm-up
_namesakes: Counter[str] = Counter()


class _Kept:
    """The place where a C function of Numba looks for compiled code, and leaves it."""

    def __init__(self, entry: Entry):
        self._entry = entry

    def load_overload(self, sig, target_context):
        code = self._entry.read()
        if code is None:
            return None
        target_context.refresh()
        return CompileResult._rebuild(target_context, *pickle.loads(code))

    def save_overload(self, sig, data) -> None:
        if not data.library.has_dynamic_globals:  # addresses of this process
            self._entry.write(dumps(data._reduce()))


def leaf(function: Callable) -> Callable:
    """A compiled function that kernels and other leaves call; LLVM inlines it."""
    return numba.njit(**OPTIONS)(function)


def kernel(signature: Signature, parallel: bool = True) -> Callable[[Callable], "Kernel"]:
    """Decorator of an entry: the only functions with `prange`, called from Python and from programs."""
    return lambda function: Kernel(function, signature, parallel)


def _regions(parallel: bool) -> dict[str, bool] | bool:
    """Numba's option `parallel`, which it empties: a region for each prange, and none for filling an array."""
    return parallel and dict.fromkeys(NO_REGIONS, False)


class Kernel:
    """An entry: a C function of one signature, compiled on first use, or by `compile`.

    It takes the address of the addresses of its arguments, which lie in memory as `words` has them. An argument that
    many calls share is so in one place for all of them.
    """

    def __init__(self, function: Callable, signature: Signature, parallel: bool):
        self.__doc__, self.name, self.signature = function.__doc__, function.__name__, signature
        self.entry, self._room = _entry_of(function), sum(1 + num_words(kind) for kind in signature.args)
        of_body, of_c = ({"parallel": _regions(parallel), **OPTIONS} for _ in range(2))
        body = numba.njit(**of_body, inline="always")(function)  # or its regions would not be those of the C function
        signature_of_c = (types.int64,), signature.return_type
        self._code = CFunc(_from_memory(body, signature), signature_of_c, {}, of_c)
        self._code._cache = _Kept(self.entry)
        self.function: Callable[[int], Any] | None = None  # from Python, without the GIL; None: not compiled yet
        KERNELS.append(self)

    def compile(self, wait: bool = True) -> bool:
        """Compiles, or loads what somebody compiled. While another process compiles it: waits, or returns False."""
        return self.entry.make(wait, global_compiler_lock, lambda: self.function is not None, self._compile)

    def _compile(self) -> None:
        self._code.compile()
        self.function = self._code.ctypes

    @property
    def address(self) -> int:
        """Address of the C function, once it is compiled."""
        address = self._code.address
        assert address is not None, f"{self.name} is not compiled"
        return address

    def bind(self, *arguments: object) -> "Bound":
        """The entry with its arguments, whose arrays the caller keeps."""
        self.compile()
        assert self.function is not None
        kinds = self.signature.args
        memory = np.empty(self._room, np.int64)
        begin, places, values = memory.ctypes.data, [], []
        for kind, argument in zip(kinds, arguments, strict=True):
            if isinstance(argument, StepArg):
                places.append(argument.address(kind))
            else:
                places.append(begin + WORD * (len(kinds) + len(values)))
                values += words(kind, argument)
        memory[: len(places) + len(values)] = places + values
        return Bound(self, self.function, memory)

    def __call__(self, *arguments: object) -> Any:
        return self.bind(*arguments)()


class Bound:
    """An entry with its arguments; runs when called.

    address: of the arguments' addresses i64[n], which begin its memory; the values that never change lie behind them.
    """

    __slots__ = ("_function", "_memory", "address", "kernel")

    def __init__(self, kernel: Kernel, function: Callable[[int], Any], memory: np.ndarray):
        """memory i64[n]: as Kernel.bind lays it out."""
        self.kernel, self._function = kernel, function
        self._memory, self.address = memory, memory.ctypes.data

    @property
    def places(self) -> list[int]:
        """Addresses of the arguments."""
        return self._memory[: len(self.kernel.signature.args)].tolist()

    def __call__(self) -> Any:
        """Runs it, and returns the entry's number if it has any."""
        return self._function(self.address)


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
        """Address of the value's words, always the same. The first call of it says the type, the others must agree."""
        if self._type is None:
            self._type, self._words = type_, np.array(words(type_, self.value), np.int64)
        assert self._type == type_, f"{self._type} for one call, {type_} for another"
        return self._words.ctypes.data


Rows = int | StepArg | None  # of a call; None: as many as there is room for


class Call:
    """An entry and its arguments, the number of rows last; runs when it is called, or as a part of a `Program`.

    A call of no rows is left out.
    """

    __slots__ = ("_bound", "arguments", "kernel")

    def __init__(self, kernel: Kernel, arguments: tuple, rows: Rows, room: int):
        """rows: by default `room`, how many the arrays have room for."""
        self.kernel, self.arguments = kernel, (*arguments, room if rows is None else rows)
        self._bound: Bound | None = None

    def bind(self) -> Bound:
        """The entry with these arguments; the same object every time."""
        if self._bound is None:
            self._bound = self.kernel.bind(*self.arguments)
        return self._bound

    def __call__(self) -> None:
        rows = self.arguments[-1]
        if rows.value if isinstance(rows, StepArg) else rows:
            self.bind()()


def words(type_: types.Type, value: Any) -> list[int]:
    """An argument in 64-bit words: a number in one (f32 in its first half), an array as its address and its shape."""
    if isinstance(type_, types.Array):
        same = value.dtype == _dtype_of(type_.dtype) and value.ndim == type_.ndim
        assert same and value.flags.c_contiguous, f"{type_} expected, not {value.dtype}, {value.shape}"
        return [value.ctypes.data, *value.shape]
    if type_ == types.float32:
        return [*struct.unpack("=i", struct.pack("=f", value))]
    return [int(value)]


_dtype_of = cache(as_dtype)


def num_words(type_: types.Type) -> int:
    """Words of an argument of a type."""
    return 1 + type_.ndim if isinstance(type_, types.Array) else 1


def _from_memory(body: Callable, signature: Signature) -> Callable:
    """`body` as a function of the address of the addresses of its arguments.

    Its text is written here, as compiled code has no loop over values of different types.
    """
    names = {"body": body, "carray": carray, "pointer": pointer, "integer": integer, "real": real}
    names["__name__"] = body.__module__
    lines = ["def entry(arguments):"]
    for i, kind in enumerate(signature.args):
        lines.append(f"    p{i} = integer(arguments + {WORD * i})")
        if isinstance(kind, types.Array):
            names[f"dtype{i}"] = _dtype_of(kind.dtype)
            shape = "".join(f"integer(p{i} + {WORD * (1 + axis)}), " for axis in range(kind.ndim))
            lines.append(f"    a{i} = carray(pointer(integer(p{i})), ({shape}), dtype{i})")
        elif kind == types.float32:
            lines.append(f"    a{i} = real(p{i})")
        else:
            lines.append(f"    a{i} = integer(p{i}){' != 0' if kind == types.boolean else ''}")
    lines.append(f"    return body({', '.join(f'a{i}' for i in range(len(signature.args)))})")
    exec("\n".join(lines), names)
    return names["entry"]


def _entry_of(function: Callable) -> Entry:
    """Its place in the cache, which knows the sources of this package only."""
    room = __name__.rpartition("codegen")[0]
    if not function.__module__.startswith(room):
        return Entry(None)
    name = f"{function.__module__.removeprefix(room)}.{function.__name__}"
    _namesakes[name] += 1  # closures of one function differ in what they close over
    return CACHE.entry(f"{name}.{_namesakes[name]}.nbc")


@intrinsic
def pointer(typingctx, address):
    """An address i64 as a pointer."""

    def generate(context, builder, signature, values):
        return builder.inttoptr(values[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@intrinsic
def integer(typingctx, address):
    """The i64 at an address."""

    def generate(context, builder, signature, values):
        return builder.load(builder.inttoptr(values[0], ir.IntType(64).as_pointer()))

    return types.int64(types.int64), generate


@intrinsic
def real(typingctx, address):
    """The f32 at an address."""

    def generate(context, builder, signature, values):
        return builder.load(builder.inttoptr(values[0], ir.FloatType().as_pointer()))

    return types.float32(types.int64), generate


@intrinsic
def call(typingctx, address, arguments):
    """Calls the micro-kernel at an address with a tuple of int64 and float32. Returns nothing."""

    def generate(context, builder, signature, values):
        types_ = [context.get_value_type(t) for t in signature.args[1]]
        function = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), types_).as_pointer())
        unpacked = [builder.extract_value(values[1], i) for i in range(len(types_))]
        builder.call(function, unpacked)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), generate


@intrinsic
def take(typingctx, counter):
    """The next number of a counter i64[1] that several threads share: 0, 1, 2, …"""

    def generate(context, builder, signature, values):
        array = context.make_array(signature.args[0])(context, builder, values[0])
        return builder.atomic_rmw("add", array.data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), generate


@intrinsic
def peek(typingctx, address):
    """The i64 at an address, which another thread may change at any time."""

    def generate(context, builder, signature, values):
        at = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(at, "monotonic", 8)

    return types.int64(types.int64), generate


@intrinsic
def address(typingctx, array):
    """Address of an array's first element, i64."""

    def generate(context, builder, signature, values):
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), generate
