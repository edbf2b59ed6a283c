"""The cores and the memory that this process may use, of those that the machine has."""

import ctypes
import math
import os
from pathlib import Path

import psutil

from . import cgroups

ROOT = Path("/")
M_ARENA_MAX = -8  # mallopt(3)
NUM_ARENAS = 2


def usable_cpus() -> int:
    """CPUs (hardware threads) that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpus_by_core() -> list[list[int]]:
    """Each physical core's CPUs, of those that this process may run on, neighbours in a row: socket by socket."""
    cores: dict[tuple[int, int], list[int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            place = int((topology / "physical_package_id").read_text()), int((topology / "core_id").read_text())
        except (OSError, ValueError):  # a container may not see it
            place = 0, cpu
        cores.setdefault(place, []).append(cpu)
    return [cpus for _, cpus in sorted(cores.items())]


def usable_cores(root: Path = ROOT) -> int:
    """Physical cores, at most the CPUs of the affinity and what a container's CPU quota is worth.

    A quota that is no whole number is rounded up: two threads are held up together when it is used up, but do more than
    one that never is, 1.46 times as much at 1.5 CPUs and 1.06 times at 1.1 (a matmul of 64 tokens, Zen 5). root: where
    /proc and the control groups are mounted.
    """
    limits = usable_cpus(), psutil.cpu_count(logical=False), cgroups.cpu_quota(root)
    return max(1, math.ceil(min(limit for limit in limits if limit)))


def usable_memory(root: Path = ROOT) -> int:
    """Bytes of RAM, at most what a container's memory limit and the process's address-space limit leave."""
    limits = psutil.virtual_memory().total, cgroups.memory_limit(root), address_space()
    return min(limit for limit in limits if limit)


def free_memory(root: Path = ROOT) -> int:
    """Bytes of `usable_memory` that nobody holds; pages of files are held by nobody."""
    limits = usable_memory(root), psutil.virtual_memory().available, cgroups.memory_left(root)
    return min(limit for limit in limits if limit)


def address_space() -> int | None:
    """Bytes of RLIMIT_AS (`ulimit -v`); None when there is no limit, or no such thing."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def bound_heap() -> None:
    """Lets the threads of this process allocate from two arenas of glibc's, instead of eight a core: requests of many
    sizes on many threads leave each arena with holes, up to 0.5 GB more in a server after some thousand of them. For
    commands whose process is their own; does nothing under another C library."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_ARENA_MAX, NUM_ARENAS)


def trim_heap() -> None:
    """Gives the system what is free in this process's heap; does nothing under another C library than glibc."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return
    trim(0)
