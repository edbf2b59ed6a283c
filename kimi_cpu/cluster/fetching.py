"""Bringing a model file to a host that lacks it."""

import fcntl
import os
import shlex
import subprocess
from pathlib import Path

from ..errors import ConfigError
from ..files import naming, sync_directory
from .work import PLACE


def fetch(path: Path, command: str) -> None:
    """Has a shell command write the file, beside its place and then there, unless it is there. Engines of one host wait
    for each other, and for a command that outlived the engine that called it. ConfigError, with the command's last
    words; OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if path.exists():
            return
        partial = path.with_name(path.name + ".partial")
        run = subprocess.run(
            ["sh", "-c", command.replace(PLACE, shlex.quote(str(partial)))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[folder],  # which keeps the lock as long as it runs
        )
        if run.returncode != 0 or not partial.is_file():
            said = run.stderr.decode(errors="replace").strip().rpartition("\n")[2] or "it left no file"
            raise ConfigError(f"{path} is not there, and the command that fetches it failed ({run.returncode}): {said}")
        with naming(partial), partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_directory(path.parent)
    finally:
        os.close(folder)
