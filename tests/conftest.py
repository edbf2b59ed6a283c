"""Fixtures that several rooms share: a tiny checkpoint, the files made from it, and the command line; and how many
processes run the tests."""

import io
import os
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config) -> int:
    """Two processes run the tests of rooms, this one alone those of files, which are few."""
    return 0 if all(".py" in name for name in config.args) else 2


def pytest_configure(config) -> None:
    """Gives each of several processes its share of the CPUs: threads of one would wait for those of another in every
    parallel loop, ten times as long as they compute."""
    worker = getattr(config, "workerinput", None)
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.environ.setdefault("NUMBA_NUM_THREADS", str(len(cpus)))  # for tests that ask for more threads than their own
        number = int(worker["workerid"].removeprefix("gw"))
        os.sched_setaffinity(0, cpus[number :: worker["workercount"]] or cpus)


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
