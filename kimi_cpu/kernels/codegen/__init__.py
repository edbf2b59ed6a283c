"""Generation of machine code: entries by Numba (jit.py), micro-kernels by llvmlite (simd.py, native.py).

Importing it loads Numba, or says in one sentence why that is impossible.
"""

import warnings

from ...errors import ConfigError, OutOfMemory
from ...machine import address_space

# Bytes of address space below which LLVM and OpenMP were seen to abort the process instead of saying what they lack
# (x86-64, 2 threads, kernels already compiled; compiling takes 1.2 GB, and says so where that is missing).
LEAST_ADDRESS_SPACE = 700 << 20

_limit = address_space()
if _limit is not None and _limit < LEAST_ADDRESS_SPACE:
    raise OutOfMemory(
        f"This process may use {_limit >> 20} MiB of address space, and the kernels' compiler alone takes "
        f"{LEAST_ADDRESS_SPACE >> 20}; raise the limit (ulimit -v)."
    )

try:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Environment variable", RuntimeWarning)  # NUMBA_… holds no such value
        import numba
except (ImportError, ValueError, RuntimeWarning) as e:
    _reason = " ".join(str(e).partition("\nThe parse failed")[0].split())
    raise ConfigError(f"Numba, which compiles the kernels, cannot be loaded: {_reason}") from e

if numba.config.DISABLE_JIT:
    raise ConfigError("NUMBA_DISABLE_JIT is set, but the kernels have to be compiled; unset it.")
