"""The only compile options in the package, the cache that they are safe in, and what compiled code needs of LLVM.

Numba's own cache key forgets other files, constants and flags, therefore the cache directory is named by a hash of all
of them. A cache directory that cannot be written is replaced by a temporary one.
"""

import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

PACKAGE = Path(__file__).parents[1]
# No fastmath: sums that may be reordered are written as registers in micro_*.py, the others keep their order and bits.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": False, "boundscheck": False}


def _cache_key() -> str:
    """Hex name for all that compiled code depends on: source text, options, versions, CPU."""
    cpu = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    facts = sorted(OPTIONS.items()), numba.__version__, llvmlite.__version__, numba.config.OPT, cpu
    digest = sha256(repr(facts).encode())
    for path in sorted([*PACKAGE.glob("kernels/*.py"), *PACKAGE.glob("quant/*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_directory() -> Path:
    """Where compiled code is kept: writable, created; temporary if it must be."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(home, "kimi-cpu", _cache_key())
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        _temporary.append(tempfile.TemporaryDirectory(prefix="kimi-cpu-"))
        return Path(_temporary[-1].name)


_temporary: list[tempfile.TemporaryDirectory] = []  # lives as long as the process
CACHE = _cache_directory()
_lock = threading.Lock()
KERNELS: list["Kernel"] = []  # every entry, in the order of definition, for warm-up


@contextmanager
def _our_cache():
    """numba.config.CACHE_DIR is ours inside, the host program's outside."""
    theirs = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = theirs


def leaf(function: Callable) -> Callable:
    """A compiled function that kernels and other leaves call; LLVM inlines it."""
    return numba.njit(**OPTIONS)(function)


class Kernel:
    """An entry: compiled for one signature on first use, or by `compile`."""

    def __init__(self, function: Callable, signature: str | tuple, parallel: bool):
        self.__doc__, self.name, self.signature = function.__doc__, function.__name__, signature
        with _our_cache():
            self._dispatcher = numba.njit(**OPTIONS, cache=True, parallel=parallel)(function)
        self._call = self._first
        KERNELS.append(self)

    def compile(self) -> None:
        """Compiles, or loads what an earlier process compiled."""
        with global_compiler_lock:  # two threads may come at once
            if self._call == self._first:
                self._dispatcher.compile(self.signature)
                self._dispatcher.disable_compile()
                self._call = self._dispatcher

    def address(self) -> int:
        """Of its C function, which takes arguments as Numba has them in registers: `create_cfunc_wrapper` of numba."""
        self.compile()
        (result,) = self._dispatcher.overloads.values()
        return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)

    def bind(self, *first) -> "Bound":
        """The entry with its first arguments."""
        return Bound(self, first)

    def _first(self, *arguments):
        self.compile()
        return self._dispatcher(*arguments)

    def __call__(self, *arguments):
        return self._call(*arguments)


class Bound:
    """An entry with its first arguments: a function of the others, or a part of a `chain.Chain`."""

    __slots__ = ("first", "kernel")

    def __init__(self, kernel: Kernel, first: tuple):
        self.kernel, self.first = kernel, first

    def __call__(self, *last) -> None:
        self.kernel(*self.first, *last)


def kernel(signature: str | tuple, parallel: bool = True) -> Callable[[Callable], Kernel]:
    """Decorator of an entry: the only functions with `prange`, called from Python alone."""
    return lambda function: Kernel(function, signature, parallel)


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
def address(typingctx, array):
    """Address of an array's first element, i64."""

    def generate(context, builder, signature, values):
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), generate
