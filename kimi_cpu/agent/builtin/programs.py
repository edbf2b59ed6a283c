"""Programs that a model writes: shell commands and Python, in a process of their own, with limits, and in a sandbox
where the machine has bubblewrap."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ..tool import Tool, tool, tool_of

MOST_S = 600  # of a program
MEMORY = 4 << 30  # bytes of address space
FILE_BYTES = 64 << 20  # of a file that it writes, its output among them
OUTPUT_BYTES = 1 << 20  # that are read of its output: the end
LIMITS = f'ulimit -v {MEMORY >> 10} -f {FILE_BYTES >> 10} -c 0; exec "$@"'
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TERM")  # of the environment: keys and tokens stay with us

Seconds = Annotated[int, Field(ge=1, le=MOST_S, description="After which it is ended.")]


def program_tools(folder: Path) -> list[Tool]:
    """The tools shell and python, whose programs run in a folder; they need consent. In the sandbox they have no
    network, can write in the folder and in a /tmp of their own, and see no home."""
    folder = folder.resolve(strict=True)

    @tool(timeout=MOST_S + 30, needs_consent=True)
    def shell(command: str, timeout_s: Seconds = 60) -> str:
        """Run a command in bash. Returns its output, and its exit code unless that is 0."""
        return _run(["bash", "-c", command], folder, timeout_s)

    @tool(timeout=MOST_S + 30, needs_consent=True)
    def python(program: str, timeout_s: Seconds = 60) -> str:
        """Run a program in Python. Returns what it prints, and its exit code unless that is 0."""
        return _run([sys.executable, "-c", program], folder, timeout_s)

    return [tool_of(function) for function in (shell, python)]


@cache
def has_sandbox() -> bool:
    """Whether bubblewrap is there and may do its work."""
    if shutil.which("bwrap") is None:
        return False
    probe = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"]
    return subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def _run(command: list[str], folder: Path, timeout_s: int) -> str:
    """The end of a program's output, and how it ended."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {"HOME": str(folder)}
    limited = [*(_sandbox(folder) if has_sandbox() else ()), "bash", "-c", LIMITS, "bash", *command]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            limited,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):  # with all that it has started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - OUTPUT_BYTES))
        text = output.read().decode("utf-8", "replace")
    if code is None:
        return f"{text}\n[ended after {timeout_s} s]"
    return text + (f"\n[exit code {code}]" if code else "") if text or code else "[no output]"


def _sandbox(folder: Path) -> list[str]:
    """The command in front of a program: it sees the machine's files, but no home, and writes in the folder alone."""
    hidden = {str(path) for path in (Path("/tmp"), Path("/home"), Path("/root"), Path("/run")) if path.is_dir()}
    with suppress(RuntimeError):  # no home
        hidden.add(str(Path.home()))
    arguments = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for path in sorted(hidden - {"/"}):
        arguments += ["--tmpfs", path]
    for prefix in {sys.prefix, sys.base_prefix}:  # of Python, which may lie in a home
        arguments += ["--ro-bind", prefix, prefix]
    arguments += ["--bind", str(folder), str(folder), "--chdir", str(folder)]
    return [*arguments, "--unshare-all", "--die-with-parent", "--new-session", "--"]
