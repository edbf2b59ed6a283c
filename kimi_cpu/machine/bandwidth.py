"""The bandwidth of this machine's memory: the bound of decoding, measured once and kept between processes.

Another program can only make it look slower: the best of some passes counts, it is kept when that pass had the CPUs for
itself, and it is measured again when a run was faster.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .usable import usable_memory

MEASURED = "bandwidth.json"
LEAST_MEMORY = 2 << 30  # of a process, or reading a quarter of a GiB would be a burden
QUIET = 0.9  # share of the CPUs that a pass has when nothing else runs


class Pass(NamedTuple):
    """One reading of far more memory than the caches hold. rate: GB/s. cpu_share: of the CPUs, what the threads had."""

    threads: int
    rate: float
    cpu_share: float


class MemoryBandwidth:
    """The memory's bandwidth, as far as it is known. The caller says how to read memory: this room has no kernel."""

    def __init__(self, folder: Path | None, fastest_pass: Callable[[], Pass]):
        """folder: where the number is kept; None: nowhere. fastest_pass: reads the memory some times."""
        self._file = None if folder is None else folder / MEASURED
        self._fastest_pass = fastest_pass

    def measure(self, beaten_by: float = 0.0) -> float | None:
        """GB/s that the default number of threads read; `measured` says it from then on. None for a process that may
        use too little memory to know.

        beaten_by: GB/s of the run for whose sake it is measured again, not to be done twice for runs that read from
        caches.
        """
        if usable_memory() < LEAST_MEMORY:
            return None
        best = self._fastest_pass()
        record = {"threads": best.threads, "GB/s": round(best.rate, 2), "beaten_by": beaten_by}
        if best.cpu_share >= QUIET and self._file is not None:
            with suppress(OSError):  # it is only for people
                self._file.write_text(json.dumps(record))
        return best.rate

    def measured(self) -> float | None:
        """GB/s that `measure` found on this machine; None when it was not called, or cannot be read."""
        return self._record()[0]

    def to_compare_with(self, read: float) -> float | None:
        """GB/s of the memory beside a run that read so many; measured again when it was faster than what is known.

        None when nothing is known, or the run was faster still: it read from the caches.
        """
        rate, beaten_by = self._record()
        if self._file is not None and (rate is None or read > max(rate, beaten_by)):
            self.measure(beaten_by=read)
            rate, _ = self._record()
        return None if rate is None or read > rate else rate

    def _record(self) -> tuple[float | None, float]:
        """(GB/s, GB/s of the run that made it be measured again)."""
        try:
            record = json.loads(self._file.read_text()) if self._file is not None else {}
            return float(record["GB/s"]), float(record["beaten_by"])
        except (OSError, ValueError, KeyError, TypeError):
            return None, 0.0
