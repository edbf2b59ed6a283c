"""Loads Numba, and says in one sentence why that cannot be: imported before anything that needs it."""

import warnings

from ..errors import ConfigError

try:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Environment variable", RuntimeWarning)  # NUMBA_… holds no such value
        import numba
except (ImportError, ValueError, RuntimeWarning) as e:
    reason = " ".join(str(e).partition("\nThe parse failed")[0].split())
    raise ConfigError(f"Numba, which compiles the kernels, cannot be loaded: {reason}") from e

if numba.config.DISABLE_JIT:
    raise ConfigError("NUMBA_DISABLE_JIT is set, but the kernels have to be compiled; unset it.")
