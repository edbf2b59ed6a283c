"""The process that runs kernels: its instruction set, machine code, threads, and each thread's scratch memory."""

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np

from ..errors import ConfigError, ForkError
from ..machine import usable_cores, usable_cpus
from . import micro
from .codegen import jit
from .codegen.code_cache import Entry
from .codegen.native import TIERS, Library, host_features, host_tiers
from .codegen.simd import Isa
from .tuning import Tuning, TuningFile

SPIN = "2000"  # turns that libgomp waits awake, 0.04 ms: docs/kernels.md, "Regions"
FORCED = "KIMI_CPU_ISA"
SHARE = (  # what the second process of a warm-up runs, with the modules of this one
    "import sys; sys.path[:] = sys.argv[1:]; from kimi_cpu.kernels import runtime; runtime.compile_all()"
)
Step = tuple[Entry, Callable[[bool], bool]]  # of a warm-up: its code, and what makes it, or waits for it
_local = threading.local()  # of each Python thread: workers, scratch
_libraries: dict[str, Library] = {}
_lock = threading.Lock()
_GO = np.zeros(1, np.int64)  # the flag of work that nobody stops
_owner: list[int] = []  # the process whose threads run kernels


def claim_process() -> None:
    """Kernels will run in this process. ForkError: they did in the one that it is a fork of; OpenMP would end it."""
    if not _owner:
        _owner.append(os.getpid())
    if _owner[0] != os.getpid():
        raise ForkError


def _after_fork() -> None:
    """In the child, nothing that the parent's threads had may be used."""
    global _local, _lock
    _local, _lock = threading.local(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def isa(name: str | None = None) -> Isa:
    """A tier by name, by default $KIMI_CPU_ISA's, else the machine's best. ConfigError when it cannot run here."""
    tiers = host_tiers()
    wanted = name or os.environ.get(FORCED)
    if not wanted:
        return tiers[0]
    for tier in tiers:
        if tier.name == wanted:
            return tier
    source = FORCED if name is None else "isa"
    raise ConfigError(f"{source} is {wanted!r}; this machine runs {', '.join(tier.name for tier in tiers)}.")


def library() -> Library:
    """The machine code that kernels called from this Python thread use; compiled on first use."""
    try:
        return _local.library
    except AttributeError:
        return select()


def context() -> np.ndarray:
    """The first argument of every entry, i64[micro.WORDS].

    It holds the addresses of all micro-kernels, at micro.WORKERS the number of threads, at micro.STOP the address of a
    flag (`stoppable`), and from micro.AHEAD on the words of a Tuning. It is the same array for a Python thread until
    its tier or its number of threads changes.
    """
    try:
        return _local.context
    except AttributeError:
        words = [*library().addresses, workers(), _GO.ctypes.data]
        _local.context = np.array(words + [0] * (micro.WORDS - len(words)))
        tune(tuning())
        return _local.context


def tuning_file(threads: int | None = None) -> TuningFile:
    """Where the machine's tier has its tuning for so many threads, by default this Python thread's tier and number."""
    if threads is None:
        return TuningFile(jit.CACHE, library().isa.name, workers())
    return TuningFile(jit.CACHE, isa().name, threads)


def tuning() -> Tuning:
    """What was measured for this Python thread's tier and number of threads, or the default."""
    return tuning_file().load()


def tune(tuning: Tuning) -> None:
    """The tuning of this Python thread's kernels from now on, also of programs that were recorded before."""
    tuning.apply(context(), library().addresses)


@contextmanager
def stoppable(flag: np.ndarray) -> Iterator[None]:
    """Inside, entries called from this Python thread leave out what they have not begun once flag i64[1] is not 0.

    Any thread may set it. What was computed meanwhile is worthless then.
    """
    own = context()
    own[micro.STOP] = flag.ctypes.data
    try:
        yield
    finally:
        own[micro.STOP] = _GO.ctypes.data


def select(name: str | None = None) -> Library:
    """Chooses a tier for this Python thread; see `isa`."""
    tier = isa(name)
    _compile(tier)
    if _local.__dict__.get("library") is not _libraries[tier.name]:
        _local.library = _libraries[tier.name]
        _local.__dict__.pop("context", None)
    return _local.library


def configure(threads: int | None = None) -> int:
    """Sets the number of threads of kernels called from this Python thread, and returns it.

    Default: `usable_cores`. The affinity is left alone. ConfigError without OpenMP. ForkError: as
    `claim_process`.
    """
    if threads is None:
        threads = usable_cores()
    _require_openmp()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    if threads != _local.__dict__.get("workers"):
        _local.workers = threads
        _local.__dict__.pop("context", None)
    return threads


def workers() -> int:
    """Threads of this Python thread's kernels."""
    try:
        return _local.workers
    except AttributeError:
        return configure()


def scratch(name: str, size: int) -> np.ndarray:
    """At least `size` bytes, u8, aligned to 64, kept for this Python thread under a name; grows when it must."""
    buffers = _local.__dict__.setdefault("scratch", {})
    buffer = buffers.get(name)
    if buffer is None or len(buffer) < size:
        raw = np.zeros(size + 64, np.uint8)
        begin = -raw.ctypes.data % 64
        buffer = buffers[name] = raw[begin : begin + size]
    return buffer


def warmup(progress: Callable[[int, int], None] | None = None) -> None:
    """Compiles everything, or loads it from the cache. progress(done, total) is called before the first step and after
    each; what it raises ends the warm-up.

    A second process shares the work where that is faster: LLVM's Python binding compiles one thing at a time, in each.
    """
    with nullcontext() if compiled() or others_compile() else _second_process():
        compile_all(progress)


def compile_all(progress: Callable[[int, int], None] | None = None) -> None:
    """Compiles everything, or loads it from the cache, in this process alone; progress as in `warmup`.

    What another process compiles meanwhile is left for the end, so that several share the work. All of them begin with
    what takes long, which is defined first, so that they end together.
    """
    steps: list[Step] = [(_machine_code(isa()), partial(_compile, isa())), *((k.entry, k.compile) for k in jit.KERNELS)]
    done, theirs = 0, list[Step]()

    def tell() -> None:
        if progress:
            progress(done + sum(entry.exists() for entry, _ in theirs), len(steps))

    tell()
    for entry, make in steps:
        if make(False):
            done += 1
        else:
            theirs.append((entry, make))
        tell()
    while theirs:
        _, make = theirs.pop(0)
        make(True)
        done += 1
        tell()
    _ready().write(b"ready")


@contextmanager
def _second_process() -> Iterator[None]:
    """Inside, a second process compiles as well, if there is a second core and both find what either has compiled."""
    python, process, no_pipe = _interpreter(), None, subprocess.DEVNULL
    if python is not None and usable_cores() > 1 and jit.CACHE.is_shared:
        command = [python, "-P", "-c", SHARE, *sys.path]
        with suppress(OSError):  # no more processes, or no such program any more: this process does it all
            process = subprocess.Popen(command, stdin=no_pipe, stdout=no_pipe, stderr=no_pipe)
    try:
        yield
    finally:
        if process is not None:
            process.terminate()
            process.wait()


def _interpreter() -> str | None:
    """The Python that runs this process; None in a program that Python is packed into, which would start once more."""
    program = sys.executable or ""
    is_python = Path(program).name.lower().startswith(("python", "pypy"))
    return program if is_python and not getattr(sys, "frozen", False) else None


def compiled() -> bool:
    """Whether a warm-up for this tier has come to its end."""
    return _ready().exists()


def others_compile() -> bool:
    """Whether another process compiles some of it now."""
    return any(entry.is_claimed() for entry in [_machine_code(isa()), *(k.entry for k in jit.KERNELS)])


def cache_note() -> str | None:
    """A sentence for a person, when compiled code is not kept where it should be."""
    return jit.CACHE.note


def cache_folder() -> Path | None:
    """The folder of compiled code, of this program and this kind of CPU; None when none can be used."""
    return jit.CACHE.folder


def _ready() -> Entry:
    return jit.CACHE.entry(f"ready-{isa().name}")


def _machine_code(tier: Isa) -> Entry:
    return jit.CACHE.entry(f"micro-{tier.name}.o")


def _compile(tier: Isa, wait: bool = True) -> bool:
    """Compiles or loads the micro-kernels of a tier; waits and returns as Kernel.compile does."""
    entry = _machine_code(tier)

    def work() -> None:
        _libraries[tier.name] = Library(tier, micro.micros(tier), micro.NAMES, entry)

    return entry.make(wait, _lock, lambda: tier.name in _libraries, work)


def describe() -> dict[str, object]:
    """Facts about the CPU, the tiers, threads and the cache, as `kimi-cpu inspect --cpu` shows them."""
    features = sorted(name for name, present in host_features().items() if present)
    tuning = tuning_file(usable_cores()).load()
    return {
        "cpu": llvm.get_host_cpu_name(),
        "machine": platform.machine(),
        "isa": isa().name,
        "isas": [tier.name for tier in host_tiers()],
        "isas_known": [tier.name for tier in TIERS],
        "threads": usable_cores(),
        "cpus": usable_cpus(),
        "cache": str(cache_folder()),
        "features": features,
        "tuned": tuning.measured,
        "tuning": [f"{name}={value}" for name, value in tuning.values.items()],
    }


_openmp: list[bool] = []


def _require_openmp() -> None:
    """Loads Numba's OpenMP layer, with short waits at barriers; once, before the first parallel region."""
    claim_process()
    if _openmp:
        return
    with _lock:
        theirs = {name: os.environ.get(name) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
        if not any(theirs.values()):
            os.environ["GOMP_SPINCOUNT"] = SPIN  # read once, when libgomp is loaded
        layer = numba.config.THREADING_LAYER
        numba.config.THREADING_LAYER = "omp"
        try:
            numba.set_num_threads(1)  # loads the layer
        except (ImportError, ValueError, OSError) as e:
            raise ConfigError(
                "Numba finds no OpenMP runtime; install libgomp (Debian, Ubuntu: apt install libgomp1)."
            ) from e
        finally:
            numba.config.THREADING_LAYER = layer
            if theirs["GOMP_SPINCOUNT"] is None:
                os.environ.pop("GOMP_SPINCOUNT", None)
        _openmp.append(True)
