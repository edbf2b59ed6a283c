"""Threads of the kernels."""

import psutil


def configure(threads: int | None = None) -> int:
    """Sets the number of threads (default: one a physical core that this process may use); returns it."""
    return threads or psutil.cpu_count(logical=False) or 1
