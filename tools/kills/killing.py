"""A process that is started, watched and killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("child.py")
POLL_S = 0.0005
LIMIT_S = 300.0


@dataclass(frozen=True)
class Moment:
    """When a process dies: before a call that changes the disk, or so long after it has begun."""

    call: int = 0
    after_s: float | None = None

    def __str__(self) -> str:
        return f"call {self.call}" if self.after_s is None else f"{1000 * self.after_s:.0f} ms"


@dataclass(frozen=True)
class Whole:
    """A run that was not killed: its calls, and its seconds from where it had begun."""

    calls: int
    seconds: float


def start(folder: Path, arguments: list, call: int = 0) -> subprocess.Popen:
    """A child in a folder."""
    command = [sys.executable, str(CHILD), str(call), str(folder / "calls"), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run_whole(folder: Path, arguments: list, begun: Callable[[], bool]) -> Whole:
    """Runs to the end."""
    process = start(folder, arguments)
    began = _wait(process, begun)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    return Whole(int((folder / "calls").read_text()), time.monotonic() - began)


def run_killed(folder: Path, arguments: list, begun: Callable[[], bool], moment: Moment) -> bool:
    """Runs until the moment; whether it was killed, and did not end before."""
    process = start(folder, arguments, moment.call)
    if moment.after_s is not None:
        began = _wait(process, begun)
        time.sleep(max(0.0, began + moment.after_s - time.monotonic()))
        process.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode in (0, -signal.SIGKILL), output
    return process.returncode != 0


def finish(folder: Path, arguments: list) -> str:
    """Runs to the end what was killed; what it prints."""
    process = start(folder, arguments)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    return output


def _wait(process: subprocess.Popen, begun: Callable[[], bool]) -> float:
    """The time at which it had begun, or ended."""
    while process.poll() is None and not begun():
        time.sleep(POLL_S)
    return time.monotonic()
