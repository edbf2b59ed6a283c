"""Gives cases to worker processes, replaces those that die or hang, and counts what came of the cases."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from kimi_cpu.kernels import runtime

from .kinds import KINDS
from .outcome import ANSWERED, REFUSED

ROOT = Path(__file__).parents[2]
CASES_A_WORKER = 50
CASE_S, FIRST_CASE_S = 60.0, 120.0  # after which a case hangs; the first one starts a process and loads kernels
Case = tuple[str, int, int]  # kind, seed, number


@dataclass
class Report:
    """counts: kind -> outcome -> cases. failures: case and what came of it."""

    counts: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    failures: list[dict] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, case: Case, outcome: str, more: str) -> dict | None:
        """Counts a case; what is told of it if it failed."""
        kind, seed, number = case
        self.counts[kind][outcome] += 1
        if outcome in (ANSWERED, REFUSED):
            return None
        command = f"python -m tools.fuzz --kind {kind} --seed {seed} --case {number}"
        self.failures.append({"case": command, "outcome": outcome, "more": more})
        return self.failures[-1]

    def as_dict(self) -> dict:
        counts = {kind: dict(counter) for kind, counter in self.counts.items()}
        return {"seconds": round(self.seconds, 1), "counts": counts, "failures": self.failures}


def run(cases: Iterable[Case], workers: int, memory_mib: int, keep: Path | None, say=None) -> Report:
    """All cases. keep: a folder for the files of cases that fail. say(report, failure): called after
    each, with None for one that did not fail."""
    cases, report, start = list(cases), Report(), time.monotonic()
    with TemporaryDirectory(prefix="kimi-cpu-fuzz-") as name:
        folder = Path(name)
        prepare(folder, {kind for kind, _, _ in cases})
        batches = [cases[i : i + CASES_A_WORKER] for i in range(0, len(cases), CASES_A_WORKER)]

        def work(batch: list[Case]) -> None:
            own = Path(name) / f"work-{batch[0][0]}-{batch[0][2]}"
            own.mkdir()
            for case, outcome, more in _batch(batch, folder, own, memory_mib, keep):
                failure = report.add(case, outcome, more)
                if say is not None:
                    say(report, failure)
            shutil.rmtree(own, ignore_errors=True)

        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(work, batches):
                pass
    report.seconds = time.monotonic() - start
    return report


def prepare(folder: Path, kinds: Iterable[str]) -> None:
    """The good files that the cases change, a folder for each kind, and the kernels that all workers need."""
    runtime.warmup()
    for kind in sorted(kinds):
        (folder / kind).mkdir()
        KINDS[kind].prepare(folder / kind)


def _batch(batch: list[Case], folder: Path, own: Path, memory_mib: int, keep: Path | None):
    """(case, outcome, more) of cases that one worker takes; another one follows a worker that ends before."""
    todo = list(batch)
    while todo:
        worker = _Worker(folder, own / "stderr", memory_mib)
        try:
            seconds = FIRST_CASE_S
            while todo:
                case = todo.pop(0)
                path = own / f"{case[0]}-{case[1]}-{case[2]}"
                outcome, more = worker.take(case, path, seconds)
                if outcome not in (ANSWERED, REFUSED) and keep is not None:
                    _keep(path, keep)
                _remove(own)
                yield case, outcome, more
                seconds = CASE_S
                if outcome in ("crash", "hang", "memory"):
                    break
        finally:
            worker.end()


class _Worker:
    """A process of worker.py."""

    def __init__(self, folder: Path, stderr: Path, memory_mib: int):
        self._stderr = stderr
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
        with stderr.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.fuzz.worker", str(folder), str(memory_mib)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=environment,
            )

    def take(self, case: Case, path: Path, seconds: float) -> tuple[str, str]:
        """What came of a case."""
        try:
            self._process.stdin.write(json.dumps([*case, str(path)]).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return "crash", self._last_words()
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not ready:
            return "hang", f"no answer in {seconds:.0f} s"
        line = self._process.stdout.readline()
        if not line:
            return "crash", f"exit code {self._process.wait()}; {self._last_words()}"
        return tuple(json.loads(line))

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _last_words(self) -> str:
        return self._stderr.read_text("utf-8", "replace")[-2000:]


def _keep(path: Path, keep: Path) -> None:
    """Copies the regular files of a case; links are kept as links."""
    keep.mkdir(parents=True, exist_ok=True)
    for file in [path, *path.rglob("*")]:
        target = keep / file.relative_to(path.parent)
        if file.is_symlink():
            target.symlink_to(file.readlink())
        elif file.is_dir():
            target.mkdir()
        elif file.is_file():
            shutil.copy(file, target)


def _remove(own: Path) -> None:
    """What a case left."""
    for path in own.iterdir():
        if path.name != "stderr":
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
