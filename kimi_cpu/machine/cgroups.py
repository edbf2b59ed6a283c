"""Limits of Linux control groups, versions 1 and 2, of this process's group and of all groups above it.

Kernel documentation: admin-guide/cgroup-v1 (memory, and scheduler/sched-bwc for the quota), admin-guide/cgroup-v2.
Whatever cannot be read limits nothing: the mount shows what a container may know.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path


def cpu_quota(root: Path) -> float | None:
    """CPUs' worth of time, the least of all groups; None without a quota. root: where / is, another one in tests."""
    return _least(_of_groups(root, "cpu", _cpu_v1, _cpu_v2))


def memory_limit(root: Path) -> int | None:
    """Bytes, the least of all groups; None without a limit."""
    return _least(_of_groups(root, "memory", _memory_v1, _memory_v2))


def _cpu_v1(group: Path) -> Iterator[float]:
    quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    if quota and period:  # "-1": none
        yield quota / period


def _cpu_v2(group: Path) -> Iterator[float]:
    quota, period = (*_words(group / "cpu.max"), "", "")[:2]
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):  # "max 100000": none
        yield int(quota) / int(period)


def _memory_v1(group: Path) -> Iterator[int | None]:
    """memory.stat knows the limits of the groups above as well, those that a container cannot see included."""
    yield _number(group / "memory.limit_in_bytes")
    words = _words(group / "memory.stat")
    stated = dict(zip(words[::2], words[1::2], strict=False)).get("hierarchical_memory_limit", "")
    yield int(stated) if stated.isdecimal() else None


def _memory_v2(group: Path) -> Iterator[int | None]:
    """Above memory.high a process is slowed down until it hardly moves: as good as a limit."""
    for name in ("memory.max", "memory.high"):
        yield _number(group / name)


def _of_groups(root: Path, controller: str, v1: Callable, v2: Callable) -> Iterator:
    """The values that v1 or v2 read in each of the process's groups that has the controller."""
    paths = _group_paths(root)
    for line in _lines(root / "proc/self/mountinfo"):  # proc_pid_mountinfo(5)
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            read, path = v2, paths.get("")
        elif kind[0] == "cgroup" and controller in kind[2].split(","):
            read, path = v1, paths.get(controller)
        else:
            continue
        mount = root / _unescaped(fields[4]).lstrip("/")
        for group in _upwards(mount, _unescaped(fields[3]), path or "/"):
            yield from read(group)


def _group_paths(root: Path) -> dict[str, str]:
    """The process's group of each controller, "" for version 2's: cgroups(7)."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _upwards(mount: Path, mounted: str, path: str) -> Iterator[Path]:
    """The directories from a group up to the mount, which shows the group `mounted` and those below it.

    A path that does not lie there, as in a container that has the host's view of its own name, leaves the mount itself.
    """
    below = path[len(mounted.rstrip("/")) :] if (path + "/").startswith(mounted.rstrip("/") + "/") else path
    names = [name for name in below.split("/") if name not in ("", "..")]
    for depth in range(len(names), -1, -1):
        yield mount.joinpath(*names[:depth])


def _least(values: Iterator):
    return min((value for value in values if value), default=None)


def _number(path: Path) -> int | None:
    """The whole number that a file holds; None for "max", "-1" and what cannot be read."""
    words = _words(path)
    return int(words[0]) if len(words) == 1 and words[0].isdecimal() else None


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _unescaped(field: str) -> str:
    r"""Spaces and the like stand as \040 in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
