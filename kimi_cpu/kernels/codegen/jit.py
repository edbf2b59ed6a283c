"""The only compile options in the package, and what compiled code needs of LLVM.

Numba's own cache finds code by the file that a function came from, and forgets other files, constants and flags; ours
(code_cache.py) finds it by the content of all of them.
"""

import pickle
import sys
from collections import Counter
from collections.abc import Callable

import llvmlite
import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.extending import intrinsic

from .code_cache import CodeCache, Entry

# No fastmath: sums that may be reordered are written as registers in micro/, the others keep their order and bits.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": False, "boundscheck": False}
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
    """What compiled code depends on beside the sources: options, settings, versions, CPU."""
    cpu = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_process_triple()
    versions = sys.implementation.cache_tag, numba.__version__, llvmlite.__version__
    settings = [(name, str(getattr(numba.config, name, None))) for name in SETTINGS]
    return repr((sorted(OPTIONS.items()), settings, versions, cpu))


CACHE = CodeCache(_facts())
KERNELS: list["Kernel"] = []  # every entry, in the order of definition, for warm-up
_namesakes: Counter[str] = Counter()


class _Kept(NullCache):
    """Where a dispatcher of Numba looks for compiled code, and leaves it."""

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


class Kernel:
    """An entry: compiled for one signature on first use, or by `compile`."""

    def __init__(self, function: Callable, signature: str | tuple, parallel: bool):
        self.__doc__, self.name, self.signature = function.__doc__, function.__name__, signature
        self.entry = _entry_of(function)
        self._dispatcher = numba.njit(**OPTIONS, parallel=parallel)(function)
        self._dispatcher._cache = _Kept(self.entry)
        self._call = self._first
        KERNELS.append(self)

    def compile(self, wait: bool = True) -> bool:
        """Compiles, or loads what somebody compiled. While another process compiles it: waits, or returns False."""
        return self.entry.make(wait, global_compiler_lock, lambda: self._call != self._first, self._compile)

    def _compile(self) -> None:
        self._dispatcher.compile(self.signature)
        self._dispatcher.disable_compile()
        self._call = self._dispatcher

    def address(self) -> int:
        """Of its C function, which takes arguments as Numba has them in registers: `create_cfunc_wrapper` of numba."""
        self.compile()
        (result,) = self._dispatcher.overloads.values()
        return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)

    def _first(self, *arguments):
        self.compile()
        return self._dispatcher(*arguments)

    def __call__(self, *arguments):
        return self._call(*arguments)


def _entry_of(function: Callable) -> Entry:
    """Its place in the cache, which knows the sources of this package only."""
    room = __package__.removesuffix("codegen")
    if not function.__module__.startswith(room):
        return Entry(None)
    name = f"{function.__module__.removeprefix(room)}.{function.__name__}"
    _namesakes[name] += 1  # closures of one function differ in what they close over
    return CACHE.entry(f"{name}.{_namesakes[name]}.nbc")


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
