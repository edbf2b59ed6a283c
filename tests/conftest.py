"""Fixtures that several rooms share: a tiny checkpoint, the files made from it, and the command line."""

import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the commands of the tests would ignore it as well
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory) -> Iterator[None]:
    """What models leave behind for their next run lies in no home of a person."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Path:
    """A checkpoint in Kimi K2's format with a tokenizer of single bytes."""
    return DATA / "tiny" / "base"


@pytest.fixture(scope="session")
def tiny_exact(tiny_checkpoint, tmp_path_factory) -> Path:
    """Its native file with BF16 matrices."""
    from kimi_cpu import convert

    path = tmp_path_factory.mktemp("exact") / "tiny.gguf"
    convert(tiny_checkpoint, path, dense="bf16")
    return path


@pytest.fixture(scope="session")
def kernels_ready() -> None:
    """No command has to compile any, or says so."""
    from kimi_cpu.kernels import runtime

    if not runtime.compiled():
        runtime.warmup()


@pytest.fixture(scope="session")
def tiny_file(tiny_checkpoint, tmp_path_factory, kernels_ready) -> Path:
    """Its native file as `kimi-cpu convert` makes it by default."""
    from kimi_cpu import convert

    path = tmp_path_factory.mktemp("default") / "tiny.gguf"
    convert(tiny_checkpoint, path)
    return path


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def kimi_cpu(monkeypatch, capfd):
    """kimi-cpu in this process: called with arguments, and with what stdin holds, text or bytes."""

    def call(*args, stdin=""):
        held = stdin.encode() if isinstance(stdin, str) else stdin
        from kimi_cpu.cli import main

        monkeypatch.setattr(sys, "argv", ["kimi-cpu", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(held)))
        code = 0
        try:
            main()
        except SystemExit as e:
            code = e.code
        return Done(code, *capfd.readouterr())

    return call
