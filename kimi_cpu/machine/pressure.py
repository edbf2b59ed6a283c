"""How short memory is: what may still be taken of it, and how long processes have waited for some."""

from pathlib import Path

import psutil

from . import cgroups
from .usable import ROOT

SYSTEM_SHARE, SYSTEM_MOST = 64, 1 << 30  # of the machine's memory, the part that is left to others, at most 1 GiB
GROUP_RESERVE = 128 << 20  # below the limit of a control group, whose memory is mostly this process's
MICROSECOND = 1e-6


def spare_memory(root: Path = ROOT) -> int:
    """Bytes that may be taken while enough is left for others; below 0: so many should be given back. Pages of files
    are nobody's."""
    system = psutil.virtual_memory()
    spare = system.available - min(system.total // SYSTEM_SHARE, SYSTEM_MOST)
    left = cgroups.memory_left(root)
    return spare if left is None else min(spare, left - GROUP_RESERVE)


def stalled_s(root: Path = ROOT) -> float:
    """Seconds in which some process waited for memory, since the system or the control group began; 0 where they are
    not counted. Kernel documentation: accounting/psi."""
    stalled = cgroups.memory_stall(root)
    return 0.0 if stalled is None else stalled * MICROSECOND
