"""What the tests of the command line share."""

import io
import sys
from typing import NamedTuple

import pytest

from kimi_cpu.cli import main


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own, and no settings from outside."""
    for name in ("DATA", "STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in ("MODEL", "CONTEXT", "THREADS", "CHUNK", "KV", "COMPUTE"):
        monkeypatch.delenv(f"KIMI_CPU_{name}", raising=False)
    return tmp_path


@pytest.fixture
def kimi_cpu(monkeypatch, capfd):
    """kimi-cpu in this process: called with arguments, and with what stdin holds."""

    def call(*args, stdin=""):
        monkeypatch.setattr(sys, "argv", ["kimi-cpu", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = 0
        try:
            main()
        except SystemExit as e:
            code = e.code
        return Done(code, *capfd.readouterr())

    return call
