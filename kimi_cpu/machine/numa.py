"""Memory nodes: where a machine has several, every core reads all weights, and so they are spread evenly over them.

A policy of set_mempolicy(2) belongs to a thread, and to those that it starts; it says where pages are that they touch
first, those of files included. glibc has no function for it.
"""

import ctypes
import errno
import os
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .cgroups import lines
from .usable import ROOT

DEFAULT, INTERLEAVE = 0, 3  # linux/mempolicy.h: MPOL_DEFAULT, MPOL_INTERLEAVE
CALLS = {"x86_64": (238, 239), "aarch64": (237, 236)}  # numbers of set_mempolicy and get_mempolicy
MAX_NODES = 1024


def several_nodes(root: Path = ROOT) -> list[int]:
    """The nodes with memory that this process may use; none when there is but one, or they are not known."""
    status = "\n".join(lines(root / "proc/self/status"))
    allowed = re.search(r"^Mems_allowed_list:(.*)$", status, re.MULTILINE)
    with_memory = "".join(lines(root / "sys/devices/system/node/has_memory"))
    nodes = _numbers(allowed[1]) & _numbers(with_memory) if allowed else set[int]()
    return sorted(nodes) if len(nodes) > 1 else []


def interleave(nodes: Sequence[int]) -> bool:
    """Spreads over nodes what the calling thread, and those that it starts from now on, touch first.

    False, and nothing changes, when the thread has a policy already, as of numactl, and for no nodes. OSError: the
    system refuses, as in some containers.
    """
    if not nodes or _policy() != DEFAULT:
        return False
    _set_policy(INTERLEAVE, nodes)
    return True


@contextmanager
def interleaved(nodes: Sequence[int]) -> Iterator[str | None]:
    """`interleave` while the block lasts. Yields why the system refuses; None when it does not."""
    try:
        is_ours = interleave(nodes)
    except OSError as e:
        yield e.strerror
        return
    try:
        yield None
    finally:
        if is_ours:
            _set_policy(DEFAULT, ())


def _policy() -> int:
    """The calling thread's. OSError."""
    mode = ctypes.c_int()
    _call(1, ctypes.byref(mode), None, ctypes.c_ulong(0), None, ctypes.c_ulong(0))
    return mode.value


def _set_policy(mode: int, nodes: Sequence[int]) -> None:
    """OSError."""
    mask = sum(1 << node for node in nodes).to_bytes(MAX_NODES // 8, "little")
    _call(0, ctypes.c_int(mode), mask, ctypes.c_ulong(MAX_NODES + 1))  # the kernel takes one bit fewer than it is told


def _call(which: int, *arguments: object) -> None:
    """set_mempolicy for 0, get_mempolicy for 1. OSError."""
    number = CALLS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number[which]), *arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _numbers(text: str) -> set[int]:
    """Those of a list as the kernel writes it: 0-1,4."""
    numbers = set[int]()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdecimal():
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers
