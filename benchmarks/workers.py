"""Processes that answer questions one at a time: each engine, and the machine, lives in one.

Imported by peers in interpreters of their own, so it needs nothing but Python.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Worker:
    """One engine in its own process, of `script` run by `python`. It sleeps unless it is asked."""

    def __init__(self, script: Path, python: str = sys.executable, **settings):
        text = json.dumps(settings, default=str)
        command = [python, str(script), "--worker", text]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, what: str, *arguments) -> dict:
        """What the engine's method of that name returns."""
        self._process.stdin.write(json.dumps([what, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(self._process.args[:2])} ended: what it said stands above")
        return json.loads(answer)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def named_python(text: str) -> tuple[str, str]:
    """(name, interpreter) of NAME=PYTHON, an argument of argparse."""
    name, _, python = text.partition("=")
    if not name or not shutil.which(python):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON, a name and an interpreter that is there")
    return name, python


def settings() -> dict | None:
    """In a worker's process: its settings. None in any other."""
    return json.loads(sys.argv[2]) if sys.argv[1:2] == ["--worker"] else None


def serve(make) -> None:
    """A worker's life: makes its engine, then takes questions on stdin and answers on stdout.

    What a library prints to stdout goes to stderr.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = make(settings())
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(getattr(engine, what)(*arguments)), file=answers, flush=True)


def seconds(call: Callable[[], object]) -> float:
    """That a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def dropped(path: Path) -> Path:
    """A file that has to be read from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path
