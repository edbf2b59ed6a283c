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


def memory_left(root: Path) -> int | None:
    """Bytes that may still be taken, the least of all groups; None without a limit. Pages of files do not count as
    taken: they give way."""
    return _least(_of_groups(root, "memory", _left_v1, _left_v2))


def memory_stall(root: Path) -> int | None:
    """Microseconds in which some process of this one's own group waited for memory, or where groups do not count them,
    some process of the system; None where nobody does."""
    own = next(_of_groups(root, "memory", _nothing, _stalls), None)
    return own if own is not None else next(_stalls_in(root / "proc/pressure/memory"), None)


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
    yield _stated(group, "hierarchical_memory_limit")


def _memory_v2(group: Path) -> Iterator[int | None]:
    """Above memory.high a process is slowed down until it hardly moves: as good as a limit."""
    for name in ("memory.max", "memory.high"):
        yield _number(group / name)


def _left_v1(group: Path) -> Iterator[int | None]:
    files = _stated(group, "total_inactive_file") + _stated(group, "total_active_file")
    yield from _left(_memory_v1(group), _number(group / "memory.usage_in_bytes"), files)


def _left_v2(group: Path) -> Iterator[int | None]:
    files = _stated(group, "inactive_file") + _stated(group, "active_file")
    yield from _left(_memory_v2(group), _number(group / "memory.current"), files)


def _stalls(group: Path) -> Iterator[int]:
    yield from _stalls_in(group / "memory.pressure")


def _stalls_in(path: Path) -> Iterator[int]:
    for line in lines(path):  # "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234", then "full …"
        kind, _, total = line.partition(" total=")
        if kind.startswith("some") and total.isdecimal():
            yield int(total)


def _nothing(group: Path) -> Iterator[int]:
    yield from ()


def _left(limits: Iterator[int | None], usage: int | None, files: int) -> Iterator[int]:
    for limit in limits:
        if limit:
            yield max(1, limit - max(0, (usage or 0) - files))


def _stated(group: Path, key: str) -> int:
    """A number of memory.stat; 0 when it does not say."""
    words = _words(group / "memory.stat")
    stated = dict(zip(words[::2], words[1::2], strict=False)).get(key, "")
    return int(stated) if stated.isdecimal() else 0


def _of_groups(root: Path, controller: str, v1: Callable, v2: Callable) -> Iterator:
    """The values that v1 or v2 read in each of the process's groups that has the controller."""
    paths = _group_paths(root)
    for line in lines(root / "proc/self/mountinfo"):  # proc_pid_mountinfo(5)
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
    for line in lines(root / "proc/self/cgroup"):
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
    return " ".join(lines(path)).split()


def lines(path: Path) -> list[str]:
    """Those of a file of the system's; none when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _unescaped(field: str) -> str:
    r"""Spaces and the like stand as \040 in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
